// SPDX-License-Identifier: Apache-2.0
package cases;

import gatehouse.v1.IntrospectResponse;
import io.grpc.StatusRuntimeException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.annotation.Configuration;
import org.springframework.http.HttpHeaders;
import org.springframework.web.method.HandlerMethod;
import org.springframework.web.servlet.HandlerInterceptor;
import org.springframework.web.servlet.HandlerMapping;
import org.springframework.web.servlet.config.annotation.InterceptorRegistry;
import org.springframework.web.servlet.config.annotation.WebMvcConfigurer;

/** Before each handler: may the bearer do this? */
@Configuration
class Gate implements HandlerInterceptor, WebMvcConfigurer {
    private static final Logger log = LoggerFactory.getLogger(Gate.class);
    private static final Pattern BEARER = Pattern.compile("(?i)bearer +(.*)");
    private static final Pattern TOKEN = Pattern.compile("[A-Za-z0-9._~+/-]+=*"); // RFC 6750, section 2.1

    private final Gatehouse gatehouse;

    Gate(Gatehouse gatehouse) {
        this.gatehouse = gatehouse;
    }

    @Override
    public void addInterceptors(InterceptorRegistry registry) {
        registry.addInterceptor(this).excludePathPatterns("/error");
    }

    @Override
    public boolean preHandle(HttpServletRequest request, HttpServletResponse response, Object handler) throws IOException {
        Requires requires = handler instanceof HandlerMethod method ? method.getMethodAnnotation(Requires.class) : null;
        if (requires == null) throw new IllegalStateException(handler + " does not say which role it requires");
        String header = request.getHeader(HttpHeaders.AUTHORIZATION);
        Matcher bearer = BEARER.matcher(header == null ? "" : header);
        if (!bearer.matches()) return refuse(response, 401, "Bearer");
        if (!TOKEN.matcher(bearer.group(1)).matches()) return refuse(response, 401, "Bearer error=\"invalid_token\"");
        // The pattern, such as "/cases/{id}", never the path with its ids.
        String api = request.getMethod() + " " + request.getAttribute(HandlerMapping.BEST_MATCHING_PATTERN_ATTRIBUTE);
        IntrospectResponse caller;
        try {
            // The address of whoever is connected: application.properties says that no header is believed.
            caller = gatehouse.introspect(bearer.group(1), api, requires.value(), request.getRemoteAddr());
        } catch (StatusRuntimeException | IOException e) { // no answer is no permission
            log.error("gatehouse: {}", e.getMessage());
            response.setHeader(HttpHeaders.RETRY_AFTER, "1");
            response.sendError(503);
            return false;
        }
        if (!caller.getActive()) return refuse(response, 401, "Bearer error=\"invalid_token\"");
        if (!caller.getAllowed())
            return refuse(response, 403, "Bearer error=\"insufficient_scope\", scope=\"" + requires.value() + "\"");
        request.setAttribute(Requires.CALLER, caller);
        return true;
    }

    private static boolean refuse(HttpServletResponse response, int status, String challenge) throws IOException {
        response.setHeader(HttpHeaders.WWW_AUTHENTICATE, challenge);
        response.sendError(status);
        return false;
    }
}
