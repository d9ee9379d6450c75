// SPDX-License-Identifier: Apache-2.0
// Asks Gatehouse, by a token of its own, and keeps out whom it does not let in.
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

const { GATEHOUSE_GRPC = '127.0.0.1:50051', GATEHOUSE_CLIENT_ID, GATEHOUSE_CLIENT_SECRET_FILE, PROTO = '/usr/share/gatehouse/proto' } = process.env;
const timeoutMs = 2000;
// An introspection that nobody answered is tried once more, after about 100 ms (gRPC adds the jitter).
const retries = {
  methodConfig: [{
    name: [{ service: 'gatehouse.v1.AuthService', method: 'Introspect' }],
    retryPolicy: { maxAttempts: 2, initialBackoff: '0.1s', maxBackoff: '0.1s', backoffMultiplier: 1, retryableStatusCodes: ['UNAVAILABLE'] },
  }],
};

const definition = protoLoader.loadSync('gatehouse/v1/auth.proto', { includeDirs: [PROTO], keepCase: true, defaults: true });
const { AuthService } = grpc.loadPackageDefinition(definition).gatehouse.v1;
const client = new AuthService(GATEHOUSE_GRPC, grpc.credentials.createInsecure(), {
  'grpc.service_config': JSON.stringify(retries),
  'grpc.max_reconnect_backoff_ms': 5000, // by default the pauses grow to two minutes
});
const options = () => ({ deadline: Date.now() + timeoutMs });
const issueToken = promisify((request, done) => client.IssueToken(request, options(), done));
const ask = promisify((request, own, done) => {
  const metadata = new grpc.Metadata();
  metadata.set('authorization', `Bearer ${own}`);
  client.Introspect(request, metadata, options(), done);
});

async function issue() {
  const secret = await readFile(GATEHOUSE_CLIENT_SECRET_FILE, 'utf8'); // anew each time: it may have been replaced
  return (await issueToken({ client_id: GATEHOUSE_CLIENT_ID, client_secret: secret.trim() })).access_token;
}

// Our own token: a promise, so that all who want one wait for the same call. Got when first wanted, and again when it has ended.
let own;
function ownToken(ended) {
  if (own === undefined || own === ended) {
    const next = issue();
    own = next;
    next.catch(() => { if (own === next) own = undefined; });
  }
  return own;
}

async function introspect(token, api, role, peer) {
  const request = { token, api, required_roles: [role], peer };
  const mine = ownToken();
  const bearing = await mine;
  try {
    return await ask(request, bearing);
  } catch (error) {
    if (error.code !== grpc.status.UNAUTHENTICATED) throw error;
    return ask(request, await ownToken(mine));
  }
}

function refuse(response, status, error, challenge) {
  response.status(status).set('WWW-Authenticate', challenge).json({ error });
}

// Middleware of a route: lets through only bearers of a live token with this role; request.caller is what is known of them.
export const requireRole = (role) => async (request, response, next) => {
  const [, token] = /^bearer +(.*)$/i.exec(request.get('authorization') ?? '') ?? [];
  if (token === undefined) return refuse(response, 401, 'missing_token', 'Bearer');
  if (!/^[\w.~+/-]+=*$/.test(token)) return refuse(response, 401, 'invalid_token', 'Bearer error="invalid_token"'); // RFC 6750, section 2.1
  // The route's template, "/cases/{id}", never the path with its ids.
  const api = `${request.method} ${request.baseUrl}${request.route.path.replace(/:(\w+)/g, '{$1}')}`;
  try {
    // ip is whoever is connected, and not what a header says, unless `trust proxy` is set; '': it has left meanwhile.
    request.caller = await introspect(token, api, role, request.ip ?? '');
  } catch (error) { // no answer is no permission
    console.error(`gatehouse: ${error.message}`);
    return response.status(503).set('Retry-After', '1').json({ error: 'temporarily_unavailable' });
  }
  if (!request.caller.active) return refuse(response, 401, 'invalid_token', 'Bearer error="invalid_token"');
  if (!request.caller.allowed) return refuse(response, 403, 'insufficient_scope', `Bearer error="insufficient_scope", scope="${role}"`);
  next();
};
