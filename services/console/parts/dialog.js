// SPDX-License-Identifier: Apache-2.0
// A native modal <dialog>. It is open as long as it is there.
import { h } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Banners } from "./banners.js";
import { Button } from "./basic.js";
/** @typedef {import("preact").ComponentChildren} Children */

/**
 * @typedef {object} DialogProps
 * @property {string} title
 * @property {() => void} onClose
 * @property {boolean} [isDirty] closing by Esc or × asks first
 * @property {boolean} [isLocked] neither Esc nor × closes it
 * @property {boolean} [isWide]
 * @property {(() => void)} [onSubmit] makes the inside a form
 * @property {Children} [footer]
 * @property {Children} [note] above the buttons, always in sight: what they will do
 * @property {Children} [children]
 */

/** @param {DialogProps} props */
export function Dialog({
  title,
  onClose,
  isDirty = false,
  isLocked = false,
  isWide,
  onSubmit,
  footer,
  note,
  children,
}) {
  const [isAsking, setAsking] = useState(false);
  const id = useId();
  function wish() {
    if (isLocked) return;
    if (isDirty && !isAsking) setAsking(true);
    else onClose();
  }
  const modal = useModal(wish, isLocked, onClose);
  useHold(isDirty || isLocked);
  useFirstWrong(modal.ref);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    onSubmit?.();
  };
  return h(
    "dialog",
    { ...modal, class: isWide ? "wide" : undefined, "aria-labelledby": id },
    h(
      "header",
      { class: "dialog-head" },
      h("h2", { id }, title),
      !isLocked && h(Button, { kind: "quiet", icon: "close", label: "Close", onClick: wish }),
    ),
    h(Banners, null),
    isAsking && isDirty && h(Discard, { onDiscard: onClose, onKeep: () => setAsking(false) }),
    h(
      onSubmit ? "form" : "div",
      { class: "dialog-form", noValidate: true, onSubmit: onSubmit && submit },
      h("div", { class: "dialog-body" }, children),
      note && h("div", { class: "dialog-note" }, note),
      footer && h("footer", { class: "dialog-foot" }, footer),
    ),
  );
}

/** Has the focus while it asks, and gives it back to where it was. @param {{ onDiscard: () => void, onKeep: () => void }} props */
function Discard({ onDiscard, onKeep }) {
  const ref = useRef(/** @type {HTMLDivElement | null} */ (null));
  useLayoutEffect(() => {
    const before = /** @type {HTMLElement | null} */ (document.activeElement);
    /** @type {HTMLElement | null | undefined} */ (ref.current?.querySelector("button:last-of-type"))?.focus();
    return () => before?.focus();
  }, []);
  return h(
    "div",
    { ref, class: "discard", role: "alertdialog", "aria-label": "Discard changes?" },
    h("span", null, "Discard what you entered?"),
    h(Button, { kind: "danger", onClick: onDiscard }, "Discard"),
    h(Button, { onClick: onKeep }, "Keep editing"),
  );
}

/**
 * What a <dialog> needs to be modal while it is there, and to close only when we say so.
 * @param {() => void} wish somebody pressed Esc
 * @param {boolean} isLocked
 * @param {() => void} onClose
 */
function useModal(wish, isLocked, onClose) {
  const ref = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useLayoutEffect(() => {
    const element = ref.current;
    if (!element) return undefined;
    element.showModal();
    /** @type {HTMLElement | null} */ (element.querySelector("[data-focus]"))?.focus();
    return () => element.close(); // gives the focus back to where it was
  }, []);
  return {
    ref,
    onKeyDown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape") return;
      event.preventDefault(); // the browser would let a second Esc through
      event.stopPropagation();
      wish();
    },
    onCancel: (/** @type {Event} */ event) => {
      event.preventDefault();
      wish();
    },
    onClose: (/** @type {Event} */ event) => {
      const element = ref.current;
      if (event.target !== element || !element?.isConnected) return;
      if (isLocked) element.showModal();
      else onClose();
    },
  };
}

/**
 * What is wrong comes into sight, and its field has the focus: it may stand below the fold.
 * @param {{ current: HTMLElement | null }} root
 */
export function useFirstWrong(root) {
  const shown = useRef(/** @type {Element | null} */ (null));
  useEffect(() => {
    const wrong = root.current?.querySelector(".wrong, .dialog-body .notice.bad") ?? null;
    if (wrong === shown.current) return;
    shown.current = wrong;
    if (!wrong) return;
    /** @type {HTMLElement | null | undefined} */ (
      wrong.parentElement?.querySelector("input, select, textarea")
    )?.focus();
    wrong.scrollIntoView({ block: "nearest" });
  });
}

/** Leaving the page asks first. @param {boolean} isHeld */
export function useHold(isHeld) {
  useEffect(() => {
    if (!isHeld) return undefined;
    const hold = (/** @type {BeforeUnloadEvent} */ event) => event.preventDefault();
    addEventListener("beforeunload", hold);
    return () => removeEventListener("beforeunload", hold);
  }, [isHeld]);
}
