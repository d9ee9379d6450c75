// SPDX-License-Identifier: Apache-2.0
// What the JSON API speaks: proto3 JSON of proto/gatehouse/v1/credential_admin.proto. Empty fields are left out.

/**
 * @typedef {object} GrantedRole
 * @property {string} role
 * @property {"GRANTED_ROLE_STATE_GRANTED"|"GRANTED_ROLE_STATE_REVOKED"|"GRANTED_ROLE_STATE_REVOKED_FROM_OWNER"|"GRANTED_ROLE_STATE_NOT_HELD_BY_OWNER"} state
 * @property {string} [grantTime]
 * @property {string} [grantedBy]
 * @property {string} [revokeTime]
 * @property {string} [revokedBy]
 *
 * @typedef {object} SecretInfo
 * @property {string} secretId
 * @property {string} hint
 * @property {string} createTime
 * @property {string} [expireTime]
 * @property {string} [lastUseTime]
 *
 * @typedef {object} Limits
 * @property {string} [idleTimeout]
 * @property {string} [maxTokenLife]
 * @property {number} [maxTokens]
 * @property {number} [maxTokensPerHour]
 * @property {string[]} [observeOnly]
 * @property {{ limit: string, count: string, firstTime: string, lastTime: string }[]} [observed]
 *
 * @typedef {object} Addresses
 * @property {string[]} [networks]
 * @property {boolean} [observeOnly]
 *
 * @typedef {object} Credential
 * @property {string} clientId
 * @property {string} name
 * @property {string} [expireTime]
 * @property {string} [owner]
 * @property {GrantedRole[]} [roles]
 * @property {string[]} [effectiveRoles]
 * @property {SecretInfo[]} [secrets]
 * @property {"CREDENTIAL_STATUS_ACTIVE"|"CREDENTIAL_STATUS_EXPIRED"|"CREDENTIAL_STATUS_DELETED"|"CREDENTIAL_STATUS_SUSPENDED"} status
 * @property {string} createTime
 * @property {string} [updateTime]
 * @property {string} [deleteTime]
 * @property {string} [purgeTime]
 * @property {string} [suspendTime]
 * @property {string} [unusedSuspendTime]
 * @property {string} [lastUseTime]
 * @property {string} [createdBy]
 * @property {boolean} [selfRotation]
 * @property {string} [contact]
 * @property {Record<string, string>} [labels]
 * @property {Limits} [limits]
 * @property {Addresses} [addresses]
 * @property {string} [lastUseFrom]
 * @property {string} etag
 *
 * @typedef {object} Role
 * @property {string} roleId
 * @property {string} name
 * @property {string} group
 * @property {string} [description]
 * @property {boolean} [retired]
 * @property {boolean} [builtIn]
 * @property {string} etag
 *
 * @typedef {object} User
 * @property {string} user
 * @property {string[]} [roles]
 * @property {string[]} [revokedRoles]
 * @property {string} [updateTime]
 * @property {string} [credentialCount]
 * @property {string} etag
 *
 * @typedef {object} TokenInfo
 * @property {string} accessor
 * @property {string} clientId
 * @property {string} issueTime
 * @property {string} [lastUseTime]
 * @property {string} [expireTime]
 * @property {string} [lastApi]
 * @property {string[]} [roles]
 *
 * @typedef {object} Settings
 * @property {string} [idleSessionTimeout]
 * @property {string} [maxTokenLife]
 * @property {number} [maxTokensPerCredential]
 * @property {string} [deletionRetention]
 * @property {string} [usageRetention]
 * @property {string} [auditRetention]
 * @property {string} [suspendUnusedAfter]
 * @property {string} etag
 *
 * @typedef {object} UsageRow
 * @property {string} [clientId]
 * @property {string} [credentialName]
 * @property {string} [api]
 * @property {string} [startTime]
 * @property {string} [allowed]
 * @property {string} [denied]
 * @property {string} [observed]
 * @property {string} [firstUseTime]
 * @property {string} [lastUseTime]
 *
 * @typedef {object} Impact
 * @property {string} [tokensEnded]
 * @property {string} [credentialsAffected]
 * @property {UsageRow[]} [recentUsage]
 *
 * @typedef {object} AuditEvent
 * @property {string} sequence
 * @property {string} eventTime
 * @property {string} [actor]
 * @property {string} action
 * @property {string} [actorName]
 * @property {string} [subject]
 * @property {string} [subjectName]
 * @property {string} [peer]
 * @property {string} [requestId]
 * @property {string} [outcome]
 * @property {string} [detail]
 */

export {};
