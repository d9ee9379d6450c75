/* SPDX-License-Identifier: Apache-2.0 */
/* What a program may have, too: its own copy of a message of Google's, here one that is no use at all. The library must
 * neither be misled by it nor collide with it. */
extern const char google__protobuf__timestamp__descriptor[8];
const char google__protobuf__timestamp__descriptor[8] = "another";
