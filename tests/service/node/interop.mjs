// SPDX-License-Identifier: Apache-2.0
// A client that nobody here wrote: @grpc/grpc-js. interop.mjs ADDRESS PROTO_FOLDER CLIENT_ID SECRET_FILE [CA_FILE [CERT_FILE KEY_FILE]]
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import grpc from '@grpc/grpc-js';
import loader from '@grpc/proto-loader';

const [address, protos, clientId, secretFile, ...files] = process.argv.slice(2);
const load = (file) => grpc.loadPackageDefinition(
  loader.loadSync(file, { includeDirs: [protos], keepCase: true, longs: String, enums: String }));
const [ca, cert, key] = files.map((file) => readFileSync(file));
const credentials = ca ? grpc.credentials.createSsl(ca, key, cert) : grpc.credentials.createInsecure();
const call = (client, method, request, metadata = new grpc.Metadata()) => new Promise((resolve, reject) => {
  client[method](request, metadata, { deadline: Date.now() + 20000 }, (error, answer) => (error ? reject(error) : resolve(answer)));
});

const { AuthService } = load('gatehouse/v1/auth.proto').gatehouse.v1;
const auth = new AuthService(address, credentials);
const secret = readFileSync(secretFile, 'utf8').trim();
const issued = await call(auth, 'IssueToken', { client_id: clientId, client_secret: secret });
assert.match(issued.access_token, /^gate_at_[0-9A-Za-z]{55}$/);
const metadata = new grpc.Metadata();
metadata.set('authorization', `Bearer ${issued.access_token}`);
const told = await call(auth, 'Introspect', { token: issued.access_token, api: 'GET /node' }, metadata);
assert.equal(told.active, true);
assert.deepEqual(told.roles, ['resource_server', 'user_manager']);

const wrong = await call(auth, 'IssueToken', { client_id: clientId, client_secret: 'wrong' }).catch((error) => error);
assert.equal(wrong.code, grpc.status.UNAUTHENTICATED);
assert.equal(wrong.metadata.get('grpc-status-details-bin').length, 1);

const { CredentialAdmin } = load('gatehouse/v1/credential_admin.proto').gatehouse.v1;
const listed = await call(new CredentialAdmin(address, credentials), 'ListCredentials', {}, metadata);
assert.equal(listed.credentials.length, 1);

const { Health } = load('grpc/health/v1/health.proto').grpc.health.v1;
const health = new Health(address, credentials);
assert.equal((await call(health, 'Check', { service: 'gatehouse.v1.AuthService' })).status, 'SERVING');
await new Promise((resolve, reject) => {
  const watch = health.Watch({});
  watch.on('error', (error) => (error.code === grpc.status.CANCELLED ? resolve() : reject(error)));
  watch.once('data', (change) => { assert.equal(change.status, 'SERVING'); watch.cancel(); });
});

for (const version of ['v1', 'v1alpha']) {
  const { ServerReflection } = load(`grpc/reflection/${version}/reflection.proto`).grpc.reflection[version];
  const stream = new ServerReflection(address, credentials).ServerReflectionInfo();
  const services = await new Promise((resolve, reject) => {
    stream.on('error', reject);
    stream.on('data', (answer) => resolve(answer.list_services_response.service.map((service) => service.name)));
    stream.write({ list_services: '' });
  });
  stream.end();
  for (const name of ['gatehouse.v1.AuthService', 'gatehouse.v1.CredentialAdmin', 'grpc.health.v1.Health']) {
    assert.ok(services.includes(name), name);
  }
}

const revoked = await call(auth, 'Revoke', { token: issued.access_token, client_id: clientId, client_secret: secret });
assert.match(revoked.position.change_id, /^-?[1-9]\d*$/);
const after = await call(auth, 'Introspect', { token: issued.access_token }, metadata).catch((error) => error);
assert.equal(after.code, grpc.status.UNAUTHENTICATED);
console.log('interop: ok');
