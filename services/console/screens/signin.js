// SPDX-License-Identifier: Apache-2.0
import { h } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useWork } from "../load.js";
import { Button, ErrorNotice } from "../parts/basic.js";
import { TextField } from "../parts/field.js";
import { session, signIn, signOut } from "../session.js";
import { useStore } from "../store.js";

/** @param {{ clientId?: string }} props */
function SignInForm({ clientId = "" }) {
  const [id, setId] = useState(clientId);
  const [secret, setSecret] = useState("");
  const { isBusy, error, setError, run } = useWork();
  function submit(/** @type {Event} */ event) {
    event.preventDefault();
    if (!id.trim() || !secret.trim()) {
      setError(Object.assign(new Error("Enter both the client ID and the secret key.")));
      return;
    }
    run(() => signIn(id.trim(), secret.trim()));
  }
  return h(
    "form",
    { onSubmit: submit, noValidate: true },
    h(ErrorNotice, { error }),
    h(TextField, {
      label: "Client ID",
      value: id,
      onInput: setId,
      isMono: true,
      isFirst: !clientId,
      autoComplete: "username",
    }),
    h(TextField, {
      label: "Secret key",
      value: secret,
      onInput: setSecret,
      type: "password",
      isMono: true,
      isFirst: !!clientId,
      autoComplete: "current-password",
    }),
    h(Button, { kind: "primary", type: "submit", isBusy }, "Sign in"),
  );
}

export function SignInScreen() {
  const { user, why } = useStore(session);
  useEffect(() => {
    document.title = "Sign in · Gatehouse";
    /** @type {HTMLElement | null} */ (document.querySelector("[data-focus]"))?.focus();
  }, []);
  return h(
    "main",
    { class: "signin" },
    h(
      "div",
      { class: "signin-card" },
      h("img", { src: "icon.svg", alt: "", width: 44, height: 44 }),
      h("h1", null, "Sign in to Gatehouse"),
      !user && h("p", { class: "lead" }, "Use an application credential that has the role User Manager."),
      h(ErrorNotice, { error: why ? new Error(why) : undefined }),
      !user && h(SignInForm, null),
      !user &&
        h("p", { class: "hint" }, "You stay signed in, in every tab, until you sign out or the idle timeout ends it."),
    ),
  );
}

/** Over everything else, so that work in a dialog beneath is not lost. */
export function SignInAgain() {
  const { clientId, user, name, why } = useStore(session);
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    /** @type {HTMLElement | null | undefined} */ (element?.querySelector("[data-focus]"))?.focus();
    return () => element?.close();
  }, []);
  return h(
    "dialog",
    {
      ref: dialog,
      class: "again",
      "aria-labelledby": "again",
      onKeyDown: (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && event.preventDefault(),
      onCancel: (/** @type {Event} */ event) => event.preventDefault(),
      onClose: () => dialog.current?.isConnected && dialog.current.showModal(),
    },
    h("header", { class: "dialog-head" }, h("h2", { id: "again" }, "Sign in again")),
    h(
      "div",
      { class: "dialog-body" },
      h("p", { role: "alert" }, why),
      user
        ? h(Button, { kind: "primary", onClick: () => location.reload() }, "Reload")
        : h(SameAgain, { clientId, name }),
    ),
  );
}

/** @param {{ clientId: string, name: string }} props */
const SameAgain = ({ clientId, name }) => [
  h(
    "p",
    null,
    "Sign in as ",
    h("strong", null, name || clientId),
    " to continue where you were. What you entered is still here.",
  ),
  h(SignInForm, { clientId }),
  h(
    "p",
    { class: "hint" },
    h("button", { type: "button", class: "linklike", onClick: () => void signOut() }, "Leave instead"),
    ", and lose what is open.",
  ),
];
