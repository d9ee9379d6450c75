// SPDX-License-Identifier: Apache-2.0
// An HTTP service that protects itself: of each request it asks Gatehouse what the bearer may do.
//
//     npm ci && GATEHOUSE_CLIENT_ID=… GATEHOUSE_CLIENT_SECRET_FILE=… node service.mjs
//
// The credential is the service's own and holds the role resource_server. GATEHOUSE_GRPC says where Gatehouse, or an edge
// of it, is (127.0.0.1:50051), PORT where this listens (8000), PROTO where the .proto files are (/usr/share/gatehouse/proto).
import express from 'express';
import { requireRole } from './gatehouse.mjs';

const app = express();

app.post('/cases', requireRole('work_creator'), (request, response) => {
  response.json({ caller: request.caller.client_id });
});

app.get('/cases/:id', requireRole('service_agent'), (request, response) => {
  response.json({ caller: request.caller.client_id, id: request.params.id });
});

app.listen(Number(process.env.PORT ?? 8000), '127.0.0.1');
