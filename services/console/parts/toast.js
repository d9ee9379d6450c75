// SPDX-License-Identifier: Apache-2.0
// "Saved.": said for some seconds, and to a screen reader.
import { h } from "preact";
import { useEffect } from "preact/hooks";
import { Store, useStore } from "../store.js";

const toast = new Store({ text: "", turn: 0 });

/** @param {string} text */
export const say = (text) => toast.update({ text, turn: toast.value.turn + 1 });

export function Toast() {
  const { text, turn } = useStore(toast);
  useEffect(() => {
    if (!text) return undefined;
    const timer = setTimeout(() => toast.update({ text: "" }), 6000);
    return () => clearTimeout(timer);
  }, [text, turn]);
  return h("div", { class: "toast", role: "status" }, text && h("span", { key: turn }, text));
}
