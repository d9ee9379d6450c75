# SPDX-License-Identifier: Apache-2.0
"""The curl command, as a README would have a user call it."""
import json
import subprocess
import unittest

from tls import TlsTest


class Curl(TlsTest):
    def curl(self, *arguments, trusted=True):
        """(exit status, HTTP code, body)"""
        trust = ["--cacert", self.certificate] if trusted else []
        done = subprocess.run(["curl", "--silent", "--noproxy", "*", "--max-time", "30", "--write-out",
                               "\n%{http_code}", *trust, *arguments], capture_output=True, text=True, timeout=60)
        body, _, code = done.stdout.rpartition("\n")
        return done.returncode, int(code), body

    def three_parameters(self, secret=None):
        return ("--data", "grant_type=client_credentials", "--data-urlencode", f"client_id={self.client_id}",
                "--data-urlencode", f"client_secret={secret or self.secret}", self.token_url)

    def test_the_three_parameters_in_the_form_give_a_token(self):
        status, code, body = self.curl(*self.three_parameters())
        self.assertEqual((status, code), (0, 200))
        self.assertTrue(self.is_live(json.loads(body)["access_token"]))

    def test_user_and_password_by_basic_give_a_token(self):
        status, code, body = self.curl("--user", f"{self.client_id}:{self.secret}", "--data",
                                       "grant_type=client_credentials", self.token_url)
        self.assertEqual((status, code), (0, 200))
        self.assertTrue(self.is_live(json.loads(body)["access_token"]))

    def test_a_wrong_secret_is_refused(self):
        status, code, body = self.curl(*self.three_parameters(secret="wrong"))
        self.assertEqual((status, code, json.loads(body)["error"]), (0, 401, "invalid_client"))

    def test_a_token_is_introspected_and_revoked(self):
        token = self.daemon.issue(self.client_id, self.secret).access_token
        ask = ("--oauth2-bearer", self.admin, "--data-urlencode", f"token={token}", self.introspect_url)
        status, code, body = self.curl(*ask)
        self.assertEqual((status, code), (0, 200))
        self.assertEqual((json.loads(body)["active"], json.loads(body)["client_id"]), (True, self.client_id))
        status, code, body = self.curl("--user", f"{self.client_id}:{self.secret}", "--data-urlencode",
                                       f"token={token}", self.revoke_url)
        self.assertEqual((status, code, body), (0, 200, ""))
        self.assertEqual(json.loads(self.curl(*ask)[2]), {"active": False})

    def test_every_version_of_http_and_tls_that_curl_has_is_served_or_refused_as_configured(self):
        for option in ("--http1.0", "--http1.1", "--tlsv1.3", "--tls-max=1.2"):
            status, code, _ = self.curl(*option.split("="), *self.three_parameters())
            self.assertEqual((option, status, code), (option, 0, 200))
        status, code, _ = self.curl("--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", *self.three_parameters())
        self.assertEqual((status, code), (35, 0))  # CURLE_SSL_CONNECT_ERROR

    def test_a_client_that_does_not_trust_the_certificate_sends_nothing(self):
        status, code, _ = self.curl(*self.three_parameters(), trusted=False)
        self.assertEqual((status, code), (60, 0))  # CURLE_PEER_FAILED_VERIFICATION


if __name__ == "__main__":
    unittest.main()
