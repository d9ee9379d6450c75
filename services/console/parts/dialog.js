// SPDX-License-Identifier: Apache-2.0
// A native modal <dialog>. It is open as long as it is there.
import { h } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Banners } from "./banners.js";
import { Button, Icon } from "./basic.js";
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
 * @property {Children} [children]
 */

/** @param {DialogProps} props */
export function Dialog({ title, onClose, isDirty, isLocked, isWide, onSubmit, footer, children }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const [isAsking, setAsking] = useState(false);
  const id = useId();
  useLayoutEffect(() => {
    const element = dialog.current;
    if (!element) return undefined;
    element.showModal();
    /** @type {HTMLElement | null} */ (element.querySelector("[data-focus]"))?.focus();
    return () => element.close(); // gives the focus back to where it was
  }, []);
  useEffect(() => {
    if (!isDirty && !isLocked) return undefined;
    /** @param {BeforeUnloadEvent} event */
    const hold = (event) => event.preventDefault();
    addEventListener("beforeunload", hold);
    return () => removeEventListener("beforeunload", hold);
  }, [isDirty, isLocked]);

  function wish() {
    if (isLocked) return;
    if (isDirty && !isAsking) setAsking(true);
    else onClose();
  }
  return h(
    "dialog",
    {
      ref: dialog,
      class: isWide ? "wide" : undefined,
      "aria-labelledby": id,
      // The browser would let a second Esc through.
      onKeyDown: (/** @type {KeyboardEvent} */ event) => {
        if (event.key !== "Escape") return;
        event.preventDefault();
        event.stopPropagation();
        wish();
      },
      onCancel: (/** @type {Event} */ event) => {
        event.preventDefault();
        wish();
      },
      onClose: (/** @type {Event} */ event) => {
        if (event.target === dialog.current && dialog.current?.isConnected)
          onClosedByBrowser(dialog.current, isLocked, onClose);
      },
    },
    h(
      "header",
      { class: "dialog-head" },
      h("h2", { id }, title),
      !isLocked &&
        h(
          "button",
          { type: "button", class: "button quiet", "aria-label": "Close", title: "Close", onClick: wish },
          h(Icon, { name: "close" }),
        ),
    ),
    h(Banners, null),
    isAsking &&
      isDirty &&
      h(
        "div",
        { class: "discard", role: "alertdialog", "aria-label": "Discard changes?" },
        h("span", null, "Discard what you entered?"),
        h(Button, { kind: "danger", onClick: onClose }, "Discard"),
        h(Button, { onClick: () => setAsking(false) }, "Keep editing"),
      ),
    h(
      onSubmit ? "form" : "div",
      {
        class: "dialog-form",
        noValidate: true,
        onSubmit:
          onSubmit &&
          ((/** @type {Event} */ event) => {
            event.preventDefault();
            onSubmit();
          }),
      },
      h("div", { class: "dialog-body" }, children),
      footer && h("footer", { class: "dialog-foot" }, footer),
    ),
  );
}

/** @param {HTMLDialogElement} element @param {boolean | undefined} isLocked @param {() => void} onClose */
function onClosedByBrowser(element, isLocked, onClose) {
  if (isLocked) element.showModal();
  else onClose();
}
