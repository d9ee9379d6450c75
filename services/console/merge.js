// SPDX-License-Identifier: Apache-2.0
// Two administrators at once: what I changed, what they changed, and where the two meet.
/** @typedef {import("./types.js").Credential} Credential */

import { linesOf } from "./labels.js";
import { limitFormOf, limitText, networkFormOf, networkText } from "./limits.js";

/** What of a credential can be edited. @typedef {{ name: string, owner: string, expireTime: string, contact: string, labels: string, limits: string, addresses: string, roles: string[] }} Draft */
/** @typedef {"name" | "owner" | "expireTime" | "contact" | "labels" | "limits" | "addresses"} Field */
/** @type {Field[]} */
export const draftFields = ["name", "owner", "expireTime", "contact", "labels", "limits", "addresses"];

/** The roles that a credential was granted and not revoked from it. @param {Credential} credential */
export const grantedRoles = (credential) =>
  (credential.roles ?? [])
    .filter((role) => role.state !== "GRANTED_ROLE_STATE_REVOKED")
    .map((role) => role.role)
    .sort();

/** @param {Credential} credential @returns {Draft} */
export const draftOf = (credential) => ({
  name: credential.name,
  owner: credential.owner ?? "",
  expireTime: credential.expireTime ?? "",
  contact: credential.contact ?? "",
  labels: linesOf(credential.labels),
  limits: limitText(limitFormOf(credential.limits)),
  addresses: networkText(networkFormOf(credential.addresses)),
  roles: grantedRoles(credential),
});

/** @param {string} a @param {string} b */
export function isSameTime(a, b) {
  // A field shows minutes only; seconds that one did not touch are no change.
  return a === b || (a !== "" && b !== "" && Math.floor(Date.parse(a) / 60_000) === Math.floor(Date.parse(b) / 60_000));
}

/** @param {Draft} from @param {Draft} to */
export function changesOf(from, to) {
  return {
    name: from.name !== to.name,
    owner: from.owner !== to.owner,
    expireTime: !isSameTime(from.expireTime, to.expireTime),
    contact: from.contact !== to.contact,
    labels: from.labels !== to.labels,
    limits: from.limits !== to.limits,
    addresses: from.addresses !== to.addresses,
    added: to.roles.filter((role) => !from.roles.includes(role)),
    removed: from.roles.filter((role) => !to.roles.includes(role)),
  };
}

/** @param {ReturnType<typeof changesOf>} changes */
export const isChanged = (changes) =>
  draftFields.some((field) => changes[field]) || changes.added.length > 0 || changes.removed.length > 0;

/**
 * @typedef {object} Difference
 * @property {Field} field
 * @property {string} before
 * @property {string} theirs
 * @property {string} mine
 * @property {boolean} isConflict both changed it, to different things
 */

/**
 * Where they changed something. Roles need no choice: what each of the two granted or revoked is all done.
 * @param {Draft} before @param {Draft} theirs @param {Draft} mine
 */
export function compare(before, theirs, mine) {
  const their = changesOf(before, theirs);
  const my = changesOf(before, mine);
  const against = changesOf(theirs, mine);
  /** @type {Difference[]} */
  const fields = [];
  for (const field of draftFields)
    if (their[field])
      fields.push({
        field,
        before: before[field],
        theirs: theirs[field],
        mine: mine[field],
        isConflict: my[field] && against[field],
      });
  return { fields, added: their.added, removed: their.removed };
}

/**
 * @param {Draft} before @param {Draft} theirs @param {Draft} mine
 * @param {Partial<Record<Difference["field"], "mine" | "theirs">>} choice for the conflicts; theirs where none was made
 * @returns {Draft}
 */
export function merge(before, theirs, mine, choice) {
  const my = changesOf(before, mine);
  const roles = new Set(theirs.roles);
  for (const role of my.added) roles.add(role);
  for (const role of my.removed) roles.delete(role);
  const { fields } = compare(before, theirs, mine);
  /** @param {Difference["field"]} field */
  const pick = (field) => {
    const isConflict = fields.some((difference) => difference.field === field && difference.isConflict);
    const isMine = isConflict ? choice[field] === "mine" : my[field];
    return isMine ? mine[field] : theirs[field];
  };
  return {
    name: pick("name"),
    owner: pick("owner"),
    expireTime: pick("expireTime"),
    contact: pick("contact"),
    labels: pick("labels"),
    limits: pick("limits"),
    addresses: pick("addresses"),
    roles: [...roles].sort(),
  };
}
