// SPDX-License-Identifier: Apache-2.0
package interop;

import com.google.protobuf.Message;
import gatehouse.v1.BatchIntrospectEntry;
import gatehouse.v1.BatchIntrospectRequest;
import gatehouse.v1.BatchIntrospectResponse;
import gatehouse.v1.IntrospectRequest;
import gatehouse.v1.IntrospectResponse;
import gatehouse.v1.IssueTokenRequest;
import gatehouse.v1.IssueTokenResponse;
import gatehouse.v1.RevokeRequest;
import gatehouse.v1.RevokeResponse;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.netty.shaded.io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.shaded.io.netty.handler.ssl.SslContextBuilder;
import io.grpc.protobuf.ProtoUtils;
import io.grpc.protobuf.StatusProto;
import io.grpc.reflection.v1.ServerReflectionGrpc;
import io.grpc.reflection.v1.ServerReflectionRequest;
import io.grpc.reflection.v1.ServerReflectionResponse;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** A client on grpc-java: ADDRESS CLIENT_ID SECRET_FILE [CA_FILE [CERT_FILE KEY_FILE]]. */
public final class Client {
  private static void check(boolean is, Object what) {
    if (!is) {
      throw new AssertionError(what);
    }
  }

  /** The error must be of this code, with an ErrorInfo of this reason. */
  private static void fails(Status.Code code, String reason, Runnable call) throws Exception {
    try {
      call.run();
    } catch (StatusRuntimeException error) {
      check(error.getStatus().getCode() == code, error);
      var info = StatusProto.fromThrowable(error).getDetails(0).unpack(com.google.rpc.ErrorInfo.class);
      check(info.getReason().equals(reason) && info.getDomain().equals("gatehouse"), info);
      return;
    }
    throw new AssertionError("no error");
  }

  private static ManagedChannel open(String[] arguments) throws Exception {
    // As a client behind a NAT is set up; 10 s is the least that grpc-java does.
    var builder = NettyChannelBuilder.forTarget(arguments[0]).keepAliveTime(10, TimeUnit.SECONDS).keepAliveWithoutCalls(true);
    if (arguments.length == 3) {
      return builder.usePlaintext().build();
    }
    SslContextBuilder tls = GrpcSslContexts.forClient().trustManager(new File(arguments[3]));
    if (arguments.length == 6) {
      tls.keyManager(new File(arguments[4]), new File(arguments[5]));
    }
    return builder.sslContext(tls.build()).build();
  }

  /** By hand what the generator makes of the service: the generator itself is not in every mirror of the registry. */
  private static <Q extends Message, A extends Message> MethodDescriptor<Q, A> method(String name, Q request, A answer) {
    return MethodDescriptor.<Q, A>newBuilder().setType(MethodDescriptor.MethodType.UNARY)
        .setFullMethodName("gatehouse.v1.AuthService/" + name).setRequestMarshaller(ProtoUtils.marshaller(request))
        .setResponseMarshaller(ProtoUtils.marshaller(answer)).build();
  }

  private static final MethodDescriptor<IssueTokenRequest, IssueTokenResponse> ISSUE =
      method("IssueToken", IssueTokenRequest.getDefaultInstance(), IssueTokenResponse.getDefaultInstance());
  private static final MethodDescriptor<IntrospectRequest, IntrospectResponse> INTROSPECT =
      method("Introspect", IntrospectRequest.getDefaultInstance(), IntrospectResponse.getDefaultInstance());
  private static final MethodDescriptor<BatchIntrospectRequest, BatchIntrospectResponse> BATCH =
      method("BatchIntrospect", BatchIntrospectRequest.getDefaultInstance(), BatchIntrospectResponse.getDefaultInstance());
  private static final MethodDescriptor<RevokeRequest, RevokeResponse> REVOKE =
      method("Revoke", RevokeRequest.getDefaultInstance(), RevokeResponse.getDefaultInstance());

  private static <Q, A> A call(Channel channel, MethodDescriptor<Q, A> method, Q request, String compressor) {
    var options = CallOptions.DEFAULT.withDeadlineAfter(60, TimeUnit.SECONDS).withCompression(compressor);
    return ClientCalls.blockingUnaryCall(channel, method, options, request);
  }

  private static <Q, A> A call(Channel channel, MethodDescriptor<Q, A> method, Q request) {
    return call(channel, method, request, "identity");
  }

  private static void tokens(Channel channel, String id, String secret) throws Exception {
    var issued = call(channel, ISSUE, IssueTokenRequest.newBuilder().setClientId(id).setClientSecret(secret).build());
    var metadata = new Metadata();
    metadata.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + issued.getAccessToken());
    var known = ClientInterceptors.intercept(channel, MetadataUtils.newAttachHeadersInterceptor(metadata));
    var request = IntrospectRequest.newBuilder().setToken(issued.getAccessToken()).setApi("GET /java").build();
    var told = call(known, INTROSPECT, request);
    check(told.getActive() && told.getRolesCount() == 2, told);
    var entry = BatchIntrospectEntry.newBuilder().setToken(issued.getAccessToken()).build();
    var batch = BatchIntrospectRequest.newBuilder().addAllRequests(Collections.nCopies(100, entry)).build();
    var answers = call(known, BATCH, batch).getResponsesList();
    check(answers.size() == 100 && answers.get(99).getActive(), answers);
    var wrong = IssueTokenRequest.newBuilder().setClientId(id).setClientSecret("wrong").build();
    fails(Status.Code.UNAUTHENTICATED, "INVALID_CLIENT", () -> call(channel, ISSUE, wrong));
    fails(Status.Code.UNIMPLEMENTED, "COMPRESSED_MESSAGE", () -> call(known, INTROSPECT, request, "gzip"));
    call(channel, REVOKE, RevokeRequest.newBuilder().setToken(issued.getAccessToken()).setClientId(id).setClientSecret(secret).build());
    fails(Status.Code.UNAUTHENTICATED, "CALLER_UNKNOWN", () -> call(known, INTROSPECT, request));
  }

  private static void watch(ManagedChannel channel) {
    var request = HealthCheckRequest.newBuilder().setService("gatehouse.v1.AuthService").build();
    var changes = HealthGrpc.newBlockingStub(channel).withDeadlineAfter(5, TimeUnit.SECONDS).watch(request);
    check(changes.next().getStatus() == ServingStatus.SERVING, "not serving");
    try {
      check(false, changes.next());
    } catch (StatusRuntimeException error) {
      check(error.getStatus().getCode() == Status.Code.DEADLINE_EXCEEDED, error);
    }
  }

  private static void reflect(ManagedChannel channel) throws Exception {
    var found = new CompletableFuture<String>();
    var names = new StringBuffer();
    var requests = ServerReflectionGrpc.newStub(channel).serverReflectionInfo(new StreamObserver<ServerReflectionResponse>() {
      @Override public void onNext(ServerReflectionResponse answer) {
        names.append(answer.getListServicesResponse());
      }

      @Override public void onError(Throwable error) {
        found.completeExceptionally(error);
      }

      @Override public void onCompleted() {
        found.complete(names.toString());
      }
    });
    for (int i = 0; i < 3; i++) {
      requests.onNext(ServerReflectionRequest.newBuilder().setListServices("").build());
    }
    requests.onCompleted();
    check(found.get(60, TimeUnit.SECONDS).split("gatehouse.v1.AuthService", -1).length == 4, names);
  }

  public static void main(String[] arguments) throws Exception {
    var channel = open(arguments);
    tokens(channel, arguments[1], Files.readString(Path.of(arguments[2])).strip());
    watch(channel);
    reflect(channel);
    channel.shutdownNow();
    System.out.println("interop: ok");
  }
}
