// SPDX-License-Identifier: Apache-2.0
package cases;

import gatehouse.v1.AuthServiceGrpc;
import gatehouse.v1.IntrospectRequest;
import gatehouse.v1.IntrospectResponse;
import gatehouse.v1.IssueTokenRequest;
import io.grpc.ConnectivityState;
import io.grpc.Deadline;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.MetadataUtils;
import jakarta.annotation.PreDestroy;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.scheduling.annotation.Scheduled;
import org.springframework.stereotype.Component;

/** Asks Gatehouse, by a token of its own. */
@Component
class Gatehouse {
    private static final long TIMEOUT_MS = 2000;
    private static final Metadata.Key<String> AUTHORIZATION = Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
    // An introspection that nobody answered is tried once more, after about 100 ms (gRPC adds the jitter).
    private static final Map<String, ?> RETRIES = Map.of("methodConfig", List.of(Map.of(
            "name", List.of(Map.of("service", "gatehouse.v1.AuthService", "method", "Introspect")),
            "retryPolicy", Map.of("maxAttempts", 2.0, "initialBackoff", "0.1s", "maxBackoff", "0.1s",
                    "backoffMultiplier", 1.0, "retryableStatusCodes", List.of("UNAVAILABLE")))));

    private final ManagedChannel channel;
    private final AuthServiceGrpc.AuthServiceBlockingStub auth;
    private final String clientId;
    private final Path secretFile;
    private String token; // ours; null: there is none yet

    Gatehouse(@Value("${GATEHOUSE_GRPC:127.0.0.1:50051}") String address, @Value("${GATEHOUSE_CLIENT_ID}") String clientId,
            @Value("${GATEHOUSE_CLIENT_SECRET_FILE}") String secretFile) {
        channel = ManagedChannelBuilder.forTarget(address).usePlaintext().defaultServiceConfig(RETRIES).build();
        auth = AuthServiceGrpc.newBlockingStub(channel);
        this.clientId = clientId;
        this.secretFile = Path.of(secretFile);
    }

    @PreDestroy
    void close() {
        channel.shutdown();
    }

    /** By default the pauses between two attempts to connect grow to two minutes. */
    @Scheduled(fixedDelay = 5, timeUnit = TimeUnit.SECONDS)
    void connectAgain() {
        if (channel.getState(false) == ConnectivityState.TRANSIENT_FAILURE) channel.resetConnectBackoff();
    }

    IntrospectResponse introspect(String token, String api, String role, String peer) throws IOException {
        Deadline deadline = Deadline.after(TIMEOUT_MS, TimeUnit.MILLISECONDS);
        IntrospectRequest request =
                IntrospectRequest.newBuilder().setToken(token).setApi(api).addRequiredRoles(role).setPeer(peer).build();
        String own = ownToken(null, deadline);
        try {
            return ask(request, own, deadline);
        } catch (StatusRuntimeException e) {
            if (e.getStatus().getCode() != Status.Code.UNAUTHENTICATED) throw e;
        }
        return ask(request, ownToken(own, deadline), deadline);
    }

    private IntrospectResponse ask(IntrospectRequest request, String own, Deadline deadline) {
        Metadata headers = new Metadata();
        headers.put(AUTHORIZATION, "Bearer " + own);
        return auth.withDeadline(deadline).withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers)).introspect(request);
    }

    /** Got when it is first wanted, and again when `ended` is the one we have. The key is read anew: it may have been replaced. */
    private synchronized String ownToken(String ended, Deadline deadline) throws IOException {
        if (token == null || token.equals(ended)) {
            token = null;
            token = auth.withDeadline(deadline).issueToken(IssueTokenRequest.newBuilder().setClientId(clientId)
                    .setClientSecret(Files.readString(secretFile).strip()).build()).getAccessToken();
        }
        return token;
    }
}
