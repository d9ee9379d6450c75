// SPDX-License-Identifier: Apache-2.0
// The frame: who is signed in, where one can go, what is there.
import { h } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { catalogue, loadCatalogue } from "../load.js";
import { Banners } from "../parts/banners.js";
import { Button, Icon } from "../parts/basic.js";
import { Toast } from "../parts/toast.js";
import { link, place } from "../router.js";
import { session, signOut } from "../session.js";
import { useStore } from "../store.js";
import { AuditScreen } from "./audit.js";
import { CredentialScreen } from "./credential.js";
import { CredentialsScreen } from "./credentials.js";
import { SettingsScreen } from "./settings.js";
import { SignInAgain, SignInScreen } from "./signin.js";
import { UsageScreen } from "./usage.js";
import { UserScreen, UsersScreen } from "./users.js";

const sections = [
  { id: "credentials", text: "Credentials", icon: "key" },
  { id: "usage", text: "Usage", icon: "chart" },
  { id: "users", text: "Users", icon: "people" },
  { id: "audit", text: "Audit log", icon: "list" },
  { id: "settings", text: "Settings", icon: "gear" },
];

export function App() {
  const { phase, clientId, user } = useStore(session);
  if (phase === "starting") return null;
  if (phase === "out") return h(SignInScreen, null);
  // Another person begins anew; the same one continues where the session ended.
  return h(Frame, { key: user || clientId });
}

function Frame() {
  const { phase, clientId, user, name } = useStore(session);
  const { path } = useStore(place);
  useStore(catalogue); // names of roles are everywhere
  useEffect(() => {
    loadCatalogue().catch(() => {}); // role IDs are shown then
  }, []);
  const nav = useRef(/** @type {HTMLElement | null} */ (null));
  const section = sections.some(({ id }) => id === path[0]) ? path[0] : "credentials";
  // Where there is no room for all sections, this one is in sight.
  useEffect(() => nav.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" }), [section]);
  return h(
    "div",
    { class: phase === "ended" ? "frame ended" : "frame" },
    h("a", { class: "skip", href: "#main", onClick: skip }, "Skip to the content"),
    h(
      "aside",
      { class: "sidebar" },
      h(
        "a",
        { class: "brand", href: link(["credentials"]) },
        h("img", { src: "icon.svg", alt: "", width: 28, height: 28 }),
        "Gatehouse",
      ),
      h(
        "nav",
        { ref: nav, "aria-label": "Sections" },
        sections.map(({ id, text, icon }) =>
          h(
            "a",
            { key: id, href: link([id]), "aria-current": id === section ? "page" : undefined },
            h(Icon, { name: icon }),
            h("span", null, text),
          ),
        ),
      ),
      h(
        "div",
        { class: "account" },
        h(
          "div",
          { class: "who", title: user ? "By your sign-on" : clientId },
          h("small", null, "Signed in as"),
          h("strong", null, name || clientId.slice(0, 8) + "…"),
        ),
        !user && h(Button, { kind: "quiet", icon: "exit", label: "Sign out", onClick: () => void signOut() }),
      ),
    ),
    h("main", { id: "main" }, h(Banners, null), h(Screen, { key: path.slice(0, 2).join("/"), section, id: path[1] })),
    h(Toast, null),
    phase === "ended" && h(SignInAgain, null),
  );
}

/** @param {Event} event */
function skip(event) {
  event.preventDefault();
  document.querySelector("h1")?.focus();
}

/** @param {{ section: string, id?: string }} props */
function Screen({ section, id }) {
  if (section === "usage") return h(UsageScreen, null);
  if (section === "users") return id ? h(UserScreen, { id }) : h(UsersScreen, null);
  if (section === "audit") return h(AuditScreen, null);
  if (section === "settings") return h(SettingsScreen, null);
  return id ? h(CredentialScreen, { id }) : h(CredentialsScreen, null);
}
