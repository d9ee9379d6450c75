// SPDX-License-Identifier: Apache-2.0
// An HTTP service that protects itself: of each request it asks Gatehouse what the bearer may do.
//
//     npm ci && GATEHOUSE_CLIENT_ID=… GATEHOUSE_CLIENT_SECRET=… node service.mjs PROTOS [PORT]
//
// PROTOS is the folder of the .proto files (/usr/share/gatehouse/proto). The credential is the service's own and holds the
// role resource_server. GATEHOUSE_GRPC says where Gatehouse is (127.0.0.1:50051).
import http from 'node:http';
import { promisify } from 'node:util';
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

const roles = { 'GET /cases': 'service_agent', 'POST /cases': 'work_creator' };
const deadlineMs = 2000;
const { GATEHOUSE_GRPC = '127.0.0.1:50051', GATEHOUSE_CLIENT_ID, GATEHOUSE_CLIENT_SECRET } = process.env;
const [protos, port = '8000'] = process.argv.slice(2);

const definition = protoLoader.loadSync('gatehouse/v1/auth.proto', { includeDirs: [protos], keepCase: true, defaults: true });
const { AuthService } = grpc.loadPackageDefinition(definition).gatehouse.v1;
const client = new AuthService(GATEHOUSE_GRPC, grpc.credentials.createInsecure());

const options = () => ({ deadline: Date.now() + deadlineMs });
const issueToken = promisify((request, done) => client.IssueToken(request, options(), done));
const ask = promisify((request, token, done) => {
  const metadata = new grpc.Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  client.Introspect(request, metadata, options(), done);
});

// Our own token: a promise, so that all who want one wait for the same. Got when first wanted, and again when it has died.
let own;
function ownToken(dead) {
  if (own === undefined || own === dead) {
    const next = issueToken({ client_id: GATEHOUSE_CLIENT_ID, client_secret: GATEHOUSE_CLIENT_SECRET }).then((answer) => answer.access_token);
    own = next;
    next.catch(() => { if (own === next) own = undefined; });
  }
  return own;
}

async function introspect(token, api, role) {
  const request = { token, api, required_roles: [role] };
  const mine = ownToken();
  try {
    return await ask(request, await mine);
  } catch (error) {
    if (error.code !== grpc.status.UNAUTHENTICATED) throw error;
    return ask(request, await ownToken(mine));
  }
}

// [status, content, challenge]
async function decide(request) {
  const api = `${request.method} ${request.url}`;
  const role = Object.hasOwn(roles, api) ? roles[api] : undefined;
  if (role === undefined) return [404, { error: 'not_found' }];
  const [, token] = /^bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
  if (token === undefined) return [401, { error: 'missing_token' }, 'Bearer'];
  if (!/^[\w.~+/-]+=*$/.test(token)) return [401, { error: 'invalid_token' }, 'Bearer error="invalid_token"']; // RFC 6750, section 2.1
  try {
    const bearer = await introspect(token, api, role);
    if (!bearer.active) return [401, { error: 'invalid_token' }, 'Bearer error="invalid_token"'];
    if (!bearer.allowed) return [403, { error: 'insufficient_scope' }, `Bearer error="insufficient_scope", scope="${role}"`];
    return [200, { caller: bearer.credential_name, roles: bearer.roles }];
  } catch (error) { // no answer is no permission
    console.error(error.message);
    return [503, { error: 'temporarily_unavailable' }];
  }
}

const server = http.createServer(async (request, response) => {
  const [status, content, challenge] = await decide(request);
  if (challenge) response.setHeader('WWW-Authenticate', challenge);
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(content));
});
server.listen(Number(port), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/cases`));
