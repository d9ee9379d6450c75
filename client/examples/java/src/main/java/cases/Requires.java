// SPDX-License-Identifier: Apache-2.0
package cases;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/** The role that a handler's callers must have. A handler without it is not served. */
@Target(ElementType.METHOD)
@Retention(RetentionPolicy.RUNTIME)
public @interface Requires {
    /** The attribute of a request that says who calls: an IntrospectResponse. */
    String CALLER = "caller";

    String value();
}
