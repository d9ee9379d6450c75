// SPDX-License-Identifier: Apache-2.0
// A client whose types are generated from /openapi.json: client.js URL TOKEN. It compiles only if they say what is true.
import createClient from "openapi-fetch";
import type { paths } from "./openapi.js";

declare const process: { argv: string[] };
const [, , baseUrl, token] = process.argv;
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });

function must(isSo: boolean, what: unknown): asserts isSo {
  if (!isSo) throw new Error(JSON.stringify(what));
}

const made = await client.POST("/v1/credentials", {
  body: { credential: { name: "typed", expireTime: "2100-01-01T00:00:00Z" }, roles: ["work_creator"] },
});
must(made.data?.credential?.clientId !== undefined && made.data.secretKey !== undefined, made.error);
const client_id = made.data.credential.clientId;

const read = await client.GET("/v1/credentials/{client_id}", { params: { path: { client_id } } });
must(read.data?.credential?.status === "CREDENTIAL_STATUS_ACTIVE", read);

const tag = read.response.headers.get("ETag");
must(tag === `"${read.data.credential.etag}"`, tag);
const changed = await client.PATCH("/v1/credentials/{client_id}", {
  params: { path: { client_id }, header: { "If-Match": tag } },
  body: { credential: { name: "typed, too" }, updateMask: "name" },
});
must(changed.data?.credential?.name === "typed, too", changed.error);
const stale = await client.PATCH("/v1/credentials/{client_id}", {
  params: { path: { client_id }, header: { "If-Match": tag } },
  body: { credential: { name: "typed, three" }, updateMask: "name" },
});
must(stale.response.status === 412 && stale.error?.error.details[0]?.reason === "STALE_ETAG", stale);

const wrong = await client.POST("/v1/credentials", { body: { credential: { name: "x".repeat(101) }, roles: ["work_creator"] } });
const violation = wrong.error?.error.details.find((detail) => detail["@type"].endsWith("BadRequest"))?.fieldViolations?.[0];
must(violation?.field === "credential.name", wrong);

const listed = await client.GET("/v1/credentials", { params: { query: { filter: "name:typed", pageSize: 1, orderBy: "name desc" } } });
must(listed.data?.credentials?.length === 1 && listed.data.totalSize === "1", listed);

const ended = await client.DELETE("/v1/credentials/{client_id}", { params: { path: { client_id }, query: { validateOnly: true } } });
must(ended.data?.impact !== undefined, ended.error);

const issued = await client.POST("/OAuth/Token", {
  body: { grant_type: "client_credentials", client_id, client_secret: made.data.secretKey },
  bodySerializer: (body) => new URLSearchParams(body as Record<string, string>),
  headers: { Authorization: null, "Content-Type": "application/x-www-form-urlencoded" },
});
must(issued.data?.token_type === "Bearer" && issued.data.scope === "work_creator", issued);
console.log("typed: ok");
