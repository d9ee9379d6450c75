-- SPDX-License-Identifier: Apache-2.0
-- For HAProxy (haproxy.cfg): may this request pass? Asks GET /OAuth/Check, and leaves the answer in txn.gatehouse_status and
-- its like. What was not answered has status 0.
local check, name = os.getenv("GATEHOUSE_CHECK"), os.getenv("GATEHOUSE_NAME")
local told = {
  ["x-auth-client-id"] = "client_id",
  ["x-auth-client-name"] = "client_name",
  ["x-auth-roles"] = "roles",
  ["x-auth-owner"] = "owner",
  ["www-authenticate"] = "challenge",
}

core.register_action("gatehouse", { "http-req" }, function(txn, role)
  local headers = { ["x-original-method"] = { txn.f:method() }, ["x-original-uri"] = { txn.f:pathq() } }
  headers["x-forwarded-for"] = { txn.f:src() } -- believed where trusted_proxies names this HAProxy
  local authorization = txn.http:req_get_headers()["authorization"]
  if authorization then
    headers["authorization"] = { authorization[0] }
  end
  if name then
    headers["host"] = { name } -- which its certificate must carry
  end
  local answer = core.httpclient():get({ url = check .. "?role=" .. role, headers = headers, timeout = 5000 })
  txn:set_var("txn.gatehouse_status", answer and answer.status or 0)
  for header, name in pairs(told) do
    local values = answer and answer.headers and answer.headers[header]
    txn:set_var("txn.gatehouse_" .. name, values and values[0] or "")
  end
end, 1)
