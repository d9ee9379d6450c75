// SPDX-License-Identifier: Apache-2.0
// One credential: what it may, its keys, who is using it, what became of it.
import { h } from "preact";
import { useEffect, useState } from "preact/hooks";
import { quoted, withQuery } from "../api.js";
import { DeleteDialog } from "../dialogs/delete.js";
import { EditDialog, RoleNote } from "../dialogs/edit.js";
import { ConfirmDialog } from "../dialogs/impact.js";
import { RegenerateDialog } from "../dialogs/regenerate.js";
import { everywhere } from "../format.js";
import { limitWords, networkWords } from "../limits.js";
import { catalogue, noteNames, roleName, useLoad, useWork } from "../load.js";
import { usePages } from "../pages.js";
import {
  Actor,
  Button,
  Card,
  CopyButton,
  ErrorNotice,
  Failed,
  Heading,
  Notice,
  RoleChip,
  StatusBadge,
  Time,
} from "../parts/basic.js";
import { Pager, Skeleton, Table } from "../parts/table.js";
import { say } from "../parts/toast.js";
import { UsagePanel } from "../parts/usage.js";
import { link } from "../router.js";
import { call, may, mayTouch } from "../session.js";
import { useStore } from "../store.js";
import { EventTable } from "./audit.js";
import { left } from "./credentials.js";
/** @typedef {import("../types.js").Credential} Credential */
/** @typedef {import("../types.js").TokenInfo} TokenInfo */

/** @param {{ id: string }} props */
export function CredentialScreen({ id }) {
  const {
    data: credential,
    error,
    reload,
  } = useLoad(`v1/credentials/${encodeURIComponent(id)}`, (answer) => /** @type {Credential} */ (answer.credential));
  const [open, setOpen] = useState("");
  useEffect(() => {
    if (credential) noteNames([credential]);
  }, [credential]);
  const back = { href: link(["credentials"], left.query), text: "Application credentials" };
  if (!credential)
    return h(
      "div",
      { class: "screen" },
      h(Heading, { title: "Credential", back }),
      error ? h(Failed, { error, onRetry: reload }) : h(Skeleton, null),
    );
  const isDeleted = credential.status === "CREDENTIAL_STATUS_DELETED";
  const isSuspended = credential.status === "CREDENTIAL_STATUS_SUSPENDED";
  const close = () => setOpen("");
  return h(
    "div",
    { class: "screen" },
    h(
      Heading,
      {
        title: credential.name,
        back,
        lead: h(
          "span",
          { class: "mono" },
          credential.clientId,
          h(CopyButton, { text: credential.clientId, label: "Copy the client ID" }),
        ),
      },
      h(StatusBadge, { credential }),
      !isDeleted && mayTouch(credential) && h(Button, { onClick: () => setOpen("edit") }, "Edit"),
      !isDeleted && mayTouch(credential) && h(Button, { icon: "key", onClick: () => setOpen("regenerate") }, "New key"),
      !isDeleted && !isSuspended && mayTouch(credential) && h(Button, { onClick: () => setOpen("suspend") }, "Suspend"),
      !isDeleted && may("user_manager") && h(Button, { kind: "danger", onClick: () => setOpen("delete") }, "Delete"),
    ),
    isDeleted && h(Deleted, { credential, onDone: reload }),
    isSuspended && h(Suspended, { credential, onDone: reload }),
    credential.unusedSuspendTime &&
      h(
        Notice,
        { kind: "warn" },
        "Suspended ",
        h(Time, { at: credential.unusedSuspendTime }),
        " unless it is used before.",
      ),
    h(
      "div",
      { class: "columns" },
      h(RolesCard, { credential }),
      h(
        "div",
        { class: "stack" },
        h(FactsCard, { credential, onChange: reload }),
        h(KeysCard, { credential, onChange: reload }),
      ),
    ),
    !isDeleted && h(SessionsCard, { credential }),
    h(Card, { title: "Usage" }, h(UsagePanel, { clientId: credential.clientId })),
    h(HistoryCard, { credential }),
    open === "edit" && h(EditDialog, { credential, onClose: close, onSaved: reload }),
    open === "regenerate" && h(RegenerateDialog, { credential, onClose: close, onDone: reload }),
    open === "delete" && h(DeleteDialog, { credential, onClose: close, onDone: reload }),
    open === "suspend" && h(SuspendDialog, { credential, onClose: close, onDone: reload }),
  );
}

/** @param {{ credential: Credential, onDone: () => void }} props */
function Deleted({ credential, onDone }) {
  const { isBusy, error, run } = useWork();
  const undelete = () =>
    run(async () => {
      await call("POST", `v1/credentials/${credential.clientId}:undelete`, { body: {} });
      say(`${credential.name} is restored.`);
      onDone();
    });
  return h(
    Notice,
    { kind: "warn" },
    h(
      "div",
      { class: "heading-row" },
      h(
        "span",
        null,
        "Deleted ",
        h(Time, { at: credential.deleteTime }),
        ". You can restore it until ",
        h(Time, { at: credential.purgeTime }),
        ".",
      ),
      may("user_manager") && h(Button, { onClick: undelete, isBusy }, "Restore"),
    ),
    h(ErrorNotice, { error }),
  );
}

/** @param {{ credential: Credential, onClose: () => void, onDone: () => void }} props */
function SuspendDialog({ credential, onClose, onDone }) {
  /** @param {boolean} validateOnly */
  const suspend = (validateOnly) =>
    call("POST", `v1/credentials/${credential.clientId}:suspend`, {
      body: { validateOnly, everywhere: !validateOnly, etag: credential.etag },
      isRepeatable: true,
    });
  return h(
    ConfirmDialog,
    {
      title: `Suspend ${credential.name}?`,
      action: "Suspend",
      preview: () => suspend(true),
      also: "It gets no new session until it is resumed.",
      onClose,
      onDo: async () => {
        const answer = await suspend(false);
        say(`${credential.name} is suspended ${everywhere(answer)}.`);
        onDone();
      },
    },
    h("p", null, "Its secret keys, roles and dates do not change."),
  );
}

/** @param {{ credential: Credential, onDone: () => void }} props */
function Suspended({ credential, onDone }) {
  const { isBusy, error, run } = useWork();
  const resume = () =>
    run(async () => {
      await call("POST", `v1/credentials/${credential.clientId}:resume`, { body: {}, isRepeatable: true });
      say(`${credential.name} is resumed.`);
      onDone();
    });
  return h(
    Notice,
    { kind: "warn" },
    h(
      "div",
      { class: "heading-row" },
      h("span", null, "Suspended ", h(Time, { at: credential.suspendTime }), ". It gets no token until it is resumed."),
      mayTouch(credential) && h(Button, { onClick: resume, isBusy }, "Resume"),
    ),
    h(ErrorNotice, { error }),
  );
}

/** @param {{ credential: Credential }} props */
function RolesCard({ credential }) {
  useStore(catalogue);
  const order = catalogue.value.roles.map((role) => role.roleId);
  const roles = [...(credential.roles ?? [])].sort((a, b) => order.indexOf(a.role) - order.indexOf(b.role));
  return h(
    Card,
    { title: "Roles" },
    h(
      "ul",
      { class: "plain-list" },
      roles.map((role) =>
        h(
          "li",
          { key: role.role },
          h(RoleChip, { role: role.role, state: role.state }),
          h(
            "div",
            { class: "hint" },
            role.state === "GRANTED_ROLE_STATE_GRANTED"
              ? ["Granted ", h(Time, { at: role.grantTime }), " by ", h(Actor, { id: role.grantedBy })]
              : h(RoleNote, { role, isLabelled: true }),
          ),
        ),
      ),
    ),
    roles.length === 0 && h("p", { class: "faint" }, "None."),
  );
}

/** May its holder make its next secret key? @param {{ credential: Credential, onChange: () => void }} props */
function SelfRotation({ credential, onChange }) {
  const { clientId, etag, selfRotation, status } = credential;
  const { isBusy, error, run } = useWork();
  const change = () =>
    run(async () => {
      const body = { credential: { selfRotation: !selfRotation, etag }, updateMask: "selfRotation" };
      await call("PATCH", `v1/credentials/${clientId}`, { body });
      say(selfRotation ? "Only administrators can make its keys now." : "Its holder can make its next key now.");
      onChange();
    });
  return [
    selfRotation ? "Yes " : "No ",
    may("user_manager") &&
      status !== "CREDENTIAL_STATUS_DELETED" &&
      h(Button, { key: "do", kind: "quiet", onClick: change, isBusy }, selfRotation ? "Forbid" : "Allow"),
    h(ErrorNotice, { key: "error", error }),
  ];
}

/** Each leads to the others that have it. @param {{ labels: Record<string, string> }} props */
function Labels({ labels }) {
  const keys = Object.keys(labels).sort();
  if (keys.length === 0) return h("span", { class: "faint" }, "None");
  return h(
    "span",
    { class: "chips" },
    keys.map((key) => {
      const text = `${key}=${labels[key]}`;
      return h(
        "a",
        { key, class: "chip", href: link(["credentials"], { by: "label", q: text }) },
        h("bdi", null, text),
      );
    }),
  );
}

/** Its own, each with what it would have refused where it is only observed. @param {{ limits: import("../types.js").Limits }} props */
function Limits({ limits }) {
  const words = limitWords(limits);
  if (words.length === 0) return h("span", { class: "faint" }, "As the settings say");
  return h(
    "ul",
    { class: "plain-list" },
    words.map(({ key, text, isObserved, refused, seen }) =>
      h(
        "li",
        { key },
        text,
        isObserved &&
          h(
            "div",
            { class: "hint" },
            seen
              ? [`Would have refused ${refused}, the last `, h(Time, { at: seen.lastTime, isRelative: true }), "."]
              : "Would have refused nothing yet.",
          ),
      ),
    ),
  );
}

/** @param {{ credential: Credential, onChange: () => void }} props */
function FactsCard({ credential, onChange }) {
  return h(
    Card,
    { title: "Details" },
    h(
      "dl",
      { class: "facts" },
      h("dt", null, "Expires"),
      h("dd", null, h(Time, { at: credential.expireTime, none: "Never" })),
      h("dt", null, "Owner"),
      h(
        "dd",
        null,
        credential.owner
          ? h("a", { href: link(["users", credential.owner]) }, credential.owner)
          : h("span", { class: "faint" }, "None"),
      ),
      h("dt", null, "Contact"),
      h("dd", null, credential.contact ? h("bdi", null, credential.contact) : h("span", { class: "faint" }, "None")),
      h("dt", null, "Labels"),
      h("dd", null, h(Labels, { labels: credential.labels ?? {} })),
      h("dt", null, "Limits"),
      h("dd", null, h(Limits, { limits: credential.limits ?? {} })),
      h("dt", null, "Networks"),
      h(
        "dd",
        { class: "lines" },
        networkWords(credential.addresses ?? {}).join("\n") || h("span", { class: "faint" }, "From anywhere"),
      ),
      h("dt", null, "Rotates its own key"),
      h("dd", null, h(SelfRotation, { credential, onChange })),
      h("dt", null, "Last used"),
      h("dd", null, h(Time, { at: credential.lastUseTime, none: "Never", isRelative: true })),
      h("dt", null, "Last used from"),
      h("dd", null, credential.lastUseFrom || h("span", { class: "faint" }, "Not known")),
      h("dt", null, "Created"),
      h("dd", null, h(Time, { at: credential.createTime }), " by ", h(Actor, { id: credential.createdBy })),
    ),
  );
}

/** @param {{ credential: Credential, onChange: () => void }} props */
function KeysCard({ credential, onChange }) {
  const [ending, setEnding] = useState(/** @type {import("../types.js").SecretInfo | undefined} */ (undefined));
  const secrets = credential.secrets ?? [];
  return h(
    Card,
    { title: "Secret keys" },
    h(
      "ul",
      { class: "plain-list" },
      secrets.map((secret) =>
        h(
          "li",
          { key: secret.secretId, class: "heading-row" },
          h(
            "div",
            null,
            h("code", null, `…${secret.hint}`),
            h(
              "div",
              { class: "hint" },
              "Created ",
              h(Time, { at: secret.createTime }),
              secret.expireTime && [", expires ", h(Time, { at: secret.expireTime })],
              ". ",
              secret.lastUseTime ? ["Last used ", h(Time, { at: secret.lastUseTime, isRelative: true })] : "Never used",
              ".",
            ),
          ),
          secrets.length > 1 &&
            mayTouch(credential) &&
            h(Button, { kind: "quiet", label: `End the key …${secret.hint}`, onClick: () => setEnding(secret) }, "End"),
        ),
      ),
    ),
    secrets.length === 0 && h("p", { class: "faint" }, "No key works. Generate a new one."),
    ending &&
      h(
        ConfirmDialog,
        {
          title: `End the key …${ending.hint}?`,
          action: "End key",
          onClose: () => setEnding(undefined),
          onDo: async () => {
            await call("DELETE", `v1/credentials/${credential.clientId}/secrets/${ending.secretId}`, {
              isRepeatable: true,
            });
            say("The key has ended.");
            onChange();
          },
        },
        h("p", null, "It gets no more tokens. Live sessions continue."),
      ),
  );
}

/** @param {(accessor: string) => void} onEnd @returns {import("../parts/table.js").Column<TokenInfo>[]} */
const sessionColumns = (onEnd) => [
  { title: "Started", cell: (row) => h(Time, { at: row.issueTime }) },
  { title: "Last used", cell: (row) => h(Time, { at: row.lastUseTime, none: "not yet", isRelative: true }) },
  { title: "For", cell: (row) => (row.lastApi ? h("code", null, row.lastApi) : h("span", { class: "faint" }, "–")) },
  { title: "Roles", cell: (row) => (row.roles ?? []).map(roleName).join(", ") },
  { title: "Expires if idle", cell: (row) => h(Time, { at: row.expireTime, isRelative: true }) },
  {
    title: "End",
    kind: "end",
    cell: ({ issueTime, accessor }) => {
      const label = `End the session started ${new Date(issueTime).toLocaleString()}`;
      return h(Button, { kind: "quiet", label, onClick: () => onEnd(accessor) }, "End");
    },
  },
];

/** @param {{ credential: Credential }} props */
function SessionsCard({ credential }) {
  const path = `v1/credentials/${credential.clientId}`;
  const pick = (/** @type {any} */ answer) => /** @type {TokenInfo[]} */ (answer.tokens ?? []);
  const { rows: read, total, error, isLoading, reload, pager } = usePages(`${path}/tokens`, {}, 10, pick);
  const [ended, setEnded] = useState(/** @type {Set<string>} */ (new Set())); // these are gone before the list is read again
  const rows = read?.filter(({ accessor }) => !ended.has(accessor));
  const [ending, setEnding] = useState(/** @type {string | undefined} */ (undefined)); // an accessor, or "all"
  function done() {
    setEnded(
      new Set([...ended, ...(ending === "all" ? (read ?? []).map(({ accessor }) => accessor) : [ending ?? ""])]),
    );
    reload();
  }
  const mayEnd = mayTouch(credential);
  const columns = sessionColumns(setEnding).filter(({ title }) => mayEnd || title !== "End");
  const aside = h(
    "span",
    { class: "actions" },
    h(Button, { kind: "quiet", onClick: reload, isBusy: isLoading }, "Refresh"),
    mayEnd &&
      (rows?.length ?? 0) > 0 &&
      h(Button, { onClick: () => setEnding("all") }, `End all ${total ?? ""}`.trim()),
  );
  return h(
    Card,
    { title: "Live sessions", aside },
    error && h(ErrorNotice, { error }),
    rows?.length === 0 && h("p", { class: "faint" }, "Nobody is using it at the moment."),
    rows &&
      rows.length > 0 &&
      h(Table, { label: "Live sessions", columns, rows, rowKey: (row) => row.accessor, isLoading }),
    h(Pager, pager),
    ending && h(EndSessions, { path, ending, onClose: () => setEnding(undefined), onDone: done }),
  );
}

/** @param {{ path: string, ending: string, onClose: () => void, onDone: () => void }} props ending: an accessor, or "all" */
function EndSessions({ path, ending, onClose, onDone }) {
  const isAll = ending === "all";
  /** @param {boolean} validateOnly */
  const endAll = (validateOnly) =>
    call("POST", `${path}:endTokens`, { body: { validateOnly, everywhere: !validateOnly }, isRepeatable: true });
  async function onDo() {
    const body = { everywhere: true };
    const answer = await (isAll
      ? endAll(false)
      : call("POST", `v1/tokens/${ending}:end`, { body, isRepeatable: true }));
    say(`${isAll ? "All its sessions have ended" : "The session has ended"} ${everywhere(answer)}.`);
    onDone();
  }
  return h(
    ConfirmDialog,
    {
      title: isAll ? "End all sessions?" : "End this session?",
      action: isAll ? "End all" : "End session",
      preview: isAll ? () => endAll(true) : undefined,
      onClose,
      onDo,
    },
    h("p", null, "The third-party system can get a new token with its secret key at any time."),
  );
}

/** @param {{ credential: Credential }} props */
function HistoryCard({ credential }) {
  const filter = `subject=${quoted(credential.clientId)}`;
  // Read again whenever the credential was.
  const { data, error } = useLoad(
    withQuery("v1/audit", { filter, pageSize: 8 }) + `#${credential.etag}`,
    (answer) => /** @type {import("../types.js").AuditEvent[]} */ (answer.events ?? []),
  );
  return h(
    Card,
    { title: "History", aside: h("a", { href: link(["audit"], { subject: credential.clientId }) }, "All events") },
    h(ErrorNotice, { error }),
    data && h(EventTable, { events: data, isShort: true }),
  );
}
