// SPDX-License-Identifier: Apache-2.0
// An HTTP service that protects itself: of each request it asks Gatehouse what the bearer may do.
//
//     mvn package && GATEHOUSE_CLIENT_ID=… GATEHOUSE_CLIENT_SECRET_FILE=… java -jar target/cases.jar
//
// The credential is the service's own and holds the role resource_server. GATEHOUSE_GRPC says where Gatehouse, or an edge
// of it, is (127.0.0.1:50051), PORT where this listens (8000).
package cases;

import gatehouse.v1.IntrospectResponse;
import java.util.Map;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.scheduling.annotation.EnableScheduling;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestAttribute;
import org.springframework.web.bind.annotation.RestController;

@SpringBootApplication
@EnableScheduling // Gatehouse.connectAgain
public class Application {
    public static void main(String[] arguments) {
        SpringApplication.run(Application.class, arguments);
    }

    @RestController
    static class Cases {
        @PostMapping("/cases")
        @Requires("work_creator")
        Map<String, String> create(@RequestAttribute(Requires.CALLER) IntrospectResponse caller) {
            return Map.of("caller", caller.getClientId());
        }

        @GetMapping("/cases/{id}")
        @Requires("service_agent")
        Map<String, String> show(@PathVariable("id") String id, @RequestAttribute(Requires.CALLER) IntrospectResponse caller) {
            return Map.of("caller", caller.getClientId(), "id", id);
        }
    }
}
