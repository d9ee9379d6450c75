/* SPDX-License-Identifier: Apache-2.0 */
/* Small files that are the user's alone: mode 0600, in folders of mode 0700, replaced as a whole. */
#ifndef PRIVATE_FILE_H
#define PRIVATE_FILE_H

#include <stdbool.h>

/* Makes the folders that are missing. False: errno says why; a file that was there is as it was. */
[[nodiscard]] bool private_file_write(const char *path, const char *text);

/* Its first line. malloc'd, to be wiped; NULL: there is none, or it is another's, or others can read it. */
char *private_file_read(const char *path);

#endif
