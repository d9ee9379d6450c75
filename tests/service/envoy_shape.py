# SPDX-License-Identifier: Apache-2.0
"""Envoy's messages of external authorization as Envoy documents them, also what Gatehouse does not use.

Written from Envoy's API reference (envoy.service.auth.v3, and what that refers to), not from our .proto files, which are
checked against it. A field is "number name type"; MESSAGES has them by full name.
"""
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory, struct_pb2, timestamp_pb2, wrappers_pb2

TYPE, CORE, AUTH = "envoy.type.v3.", "envoy.config.core.v3.", "envoy.service.auth.v3."
STRUCT, BOOL = "google.protobuf.Struct", "google.protobuf.BoolValue"

ENUMS = {
    TYPE + "StatusCode": {"Empty": 0, "Continue": 100, "OK": 200, "BadRequest": 400, "Unauthorized": 401, "Forbidden": 403,
                          "TooManyRequests": 429, "InternalServerError": 500, "ServiceUnavailable": 503},
    CORE + "HeaderValueOption.HeaderAppendAction": {"APPEND_IF_EXISTS_OR_ADD": 0, "ADD_IF_ABSENT": 1,
                                                    "OVERWRITE_IF_EXISTS_OR_ADD": 2, "OVERWRITE_IF_EXISTS": 3},
    CORE + "SocketAddress.Protocol": {"TCP": 0, "UDP": 1},
}
MESSAGES = {
    "google.rpc.Status": ("1 code int32", "2 message string", "3 details repeated google.protobuf.Any"),
    TYPE + "HttpStatus": (f"1 code {TYPE}StatusCode",),
    CORE + "SocketAddress": (f"1 protocol {CORE}SocketAddress.Protocol", "2 address string", "3 port_value uint32",
                             "4 named_port string", "5 resolver_name string", "6 ipv4_compat bool"),
    CORE + "Pipe": ("1 path string", "2 mode uint32"),
    CORE + "Address": (f"1 socket_address {CORE}SocketAddress", f"2 pipe {CORE}Pipe"),
    CORE + "Metadata": (f"1 filter_metadata map {STRUCT}", "2 typed_filter_metadata map google.protobuf.Any"),
    CORE + "HeaderValue": ("1 key string", "2 value string", "3 raw_value bytes"),
    CORE + "HeaderMap": (f"1 headers repeated {CORE}HeaderValue",),
    CORE + "HeaderValueOption": (f"1 header {CORE}HeaderValue", f"2 append {BOOL}",
                                 f"3 append_action {CORE}HeaderValueOption.HeaderAppendAction", "4 keep_empty_value bool"),
    CORE + "QueryParameter": ("1 key string", "2 value string"),
    AUTH + "AttributeContext": (f"1 source {AUTH}AttributeContext.Peer", f"2 destination {AUTH}AttributeContext.Peer",
                                f"4 request {AUTH}AttributeContext.Request", "10 context_extensions map string",
                                f"11 metadata_context {CORE}Metadata", f"12 tls_session {AUTH}AttributeContext.TLSSession",
                                f"13 route_metadata_context {CORE}Metadata"),
    AUTH + "AttributeContext.Peer": (f"1 address {CORE}Address", "2 service string", "3 labels map string",
                                     "4 principal string", "5 certificate string"),
    AUTH + "AttributeContext.Request": ("1 time google.protobuf.Timestamp", f"2 http {AUTH}AttributeContext.HttpRequest"),
    AUTH + "AttributeContext.HttpRequest": (
        "1 id string", "2 method string", "3 headers map string", "4 path string", "5 host string", "6 scheme string",
        "7 query string", "8 fragment string", "9 size int64", "10 protocol string", "11 body string", "12 raw_body bytes",
        f"13 header_map {CORE}HeaderMap"),
    AUTH + "AttributeContext.TLSSession": ("1 sni string",),
    AUTH + "CheckRequest": (f"1 attributes {AUTH}AttributeContext",),
    AUTH + "DeniedHttpResponse": (f"1 status {TYPE}HttpStatus", f"2 headers repeated {CORE}HeaderValueOption",
                                  "3 body string"),
    AUTH + "OkHttpResponse": (f"2 headers repeated {CORE}HeaderValueOption", f"3 dynamic_metadata {STRUCT}",
                              "5 headers_to_remove repeated string",
                              f"6 response_headers_to_add repeated {CORE}HeaderValueOption",
                              f"7 query_parameters_to_set repeated {CORE}QueryParameter",
                              "8 query_parameters_to_remove repeated string"),
    AUTH + "CheckResponse": ("1 status google.rpc.Status", f"2 denied_response {AUTH}DeniedHttpResponse",
                             f"3 ok_response {AUTH}OkHttpResponse", f"4 dynamic_metadata {STRUCT}"),
}
ONEOFS = {AUTH + "CheckResponse": ("http_response", ("denied_response", "ok_response"))}

Field = descriptor_pb2.FieldDescriptorProto


def set_type(field, name):
    scalar = {"string": Field.TYPE_STRING, "bytes": Field.TYPE_BYTES, "bool": Field.TYPE_BOOL, "int32": Field.TYPE_INT32,
              "int64": Field.TYPE_INT64, "uint32": Field.TYPE_UINT32}.get(name)
    field.type = scalar or (Field.TYPE_ENUM if name in ENUMS else Field.TYPE_MESSAGE)
    if not scalar:
        field.type_name = "." + name


def add_map(message, full_name, field, value):
    entry = message.nested_type.add(name="".join(part.capitalize() for part in field.name.split("_")) + "Entry")
    entry.options.map_entry = True
    for number, name, kind in ((1, "key", "string"), (2, "value", value)):
        set_type(entry.field.add(name=name, number=number, label=Field.LABEL_OPTIONAL), kind)
    field.label = Field.LABEL_REPEATED
    set_type(field, f"{full_name}.{entry.name}")


def add_fields(message, full_name):
    oneof, members = ONEOFS.get(full_name, (None, ()))
    if oneof:
        message.oneof_decl.add(name=oneof)
    for line in MESSAGES[full_name]:
        number, name, *kind = line.split()
        field = message.field.add(name=name, number=int(number), label=Field.LABEL_OPTIONAL)
        if name in members:
            field.oneof_index = 0
        if kind[0] == "map":
            add_map(message, full_name, field, kind[1])
        else:
            if kind[0] == "repeated":
                field.label = Field.LABEL_REPEATED
            set_type(field, kind[-1])


def make_pool():
    """One file for the whole of it; a package is a part of a name, so each stands in a file of its own."""
    pool = descriptor_pool.DescriptorPool()
    google = [module.DESCRIPTOR for module in (any_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)]
    for file in google:
        pool.AddSerializedFile(file.serialized_pb)
    done = [file.name for file in google]
    for package in ("google.rpc", TYPE[:-1], CORE[:-1], AUTH[:-1]):
        file = descriptor_pb2.FileDescriptorProto(name=package + ".shape", package=package, syntax="proto3", dependency=done)
        made = {}
        for full_name in sorted(name for name in {**ENUMS, **MESSAGES} if name.startswith(package + ".")):
            *outer, name = full_name[len(package) + 1:].split(".")
            parent = made[outer[0]] if outer else file
            if full_name in ENUMS:
                enum = parent.enum_type.add(name=name)
                for key, number in ENUMS[full_name].items():
                    enum.value.add(name=key, number=number)
            else:
                message = (parent.nested_type if outer else file.message_type).add(name=name)
                if not outer:
                    made[name] = message
                add_fields(message, full_name)
        pool.AddSerializedFile(file.SerializeToString())
        done.append(file.name)
    return pool


POOL = make_pool()
FACTORY = message_factory.MessageFactory(POOL)
CheckRequest = FACTORY.GetPrototype(POOL.FindMessageTypeByName(AUTH + "CheckRequest"))
CheckResponse = FACTORY.GetPrototype(POOL.FindMessageTypeByName(AUTH + "CheckResponse"))
