# SPDX-License-Identifier: Apache-2.0
"""requests-oauthlib."""
import unittest

from oauthlib.oauth2 import (BackendApplicationClient, InvalidClientError, InvalidScopeError,
                             LegacyApplicationClient, UnsupportedGrantTypeError)
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session
from tls import TlsTest


class RequestsOAuthlib(TlsTest):
    def session(self, scope=None, **fields):
        # The library sends the client's scope, not the session's.
        session = OAuth2Session(client=BackendApplicationClient(client_id=self.client_id, scope=scope), **fields)
        self.addCleanup(session.close)
        session.verify = self.certificate
        session.trust_env = False
        return session

    def fetch(self, session, **fields):
        return session.fetch_token(self.token_url, **{"client_secret": self.secret, "verify": self.certificate,
                                                       **fields})

    def test_credentials_in_the_form_give_a_token(self):
        token = self.fetch(self.session(), include_client_id=True)
        # The library keeps a set: it tells the scopes in any order.
        self.assertEqual((token["token_type"], sorted(token.scope.split())), ("Bearer", ["work_creator", "work_reader"]))
        self.assertTrue(self.is_live(token["access_token"]))

    def test_credentials_by_basic_give_a_token(self):
        token = self.fetch(self.session(), auth=HTTPBasicAuth(self.client_id, self.secret))
        self.assertTrue(self.is_live(token["access_token"]))

    def test_scope_narrows_the_roles(self):
        token = self.fetch(self.session(scope=["work_reader"]), include_client_id=True)
        self.assertEqual(list(token["scope"]), ["work_reader"])
        self.assertEqual(self.roles_of(token["access_token"]), ["work_reader"])

    def test_a_scope_that_the_credential_lacks_is_invalid_scope(self):
        with self.assertRaises(InvalidScopeError):
            self.fetch(self.session(scope=["user_manager"]), include_client_id=True)

    def test_a_wrong_secret_is_invalid_client(self):
        with self.assertRaises(InvalidClientError) as caught:
            self.fetch(self.session(), include_client_id=True, client_secret="wrong")
        self.assertEqual(caught.exception.status_code, 401)

    def test_another_grant_is_unsupported_grant_type(self):
        session = OAuth2Session(client=LegacyApplicationClient(client_id=self.client_id))
        self.addCleanup(session.close)
        session.trust_env = False
        with self.assertRaises(UnsupportedGrantTypeError):
            self.fetch(session, username="somebody", password="secret", include_client_id=True)

    def test_the_session_introspects_as_itself_and_the_client_revokes(self):
        mine = self.fetch(self.session(), include_client_id=True)["access_token"]
        resource_server = self.session(token={"access_token": self.admin, "token_type": "Bearer"})
        answer = resource_server.post(self.introspect_url, data={"token": mine})
        self.assertEqual((answer.status_code, answer.json()["client_id"]), (200, self.client_id))
        url, headers, body = BackendApplicationClient(self.client_id).prepare_token_revocation_request(
            self.revoke_url, mine, client_id=self.client_id, client_secret=self.secret)
        session = self.session(token={"access_token": mine, "token_type": "Bearer"})
        self.assertEqual(session.post(url, headers=headers, data=body, withhold_token=True).status_code, 200)
        self.assertFalse(self.is_live(mine))
        self.assertEqual(resource_server.post(self.introspect_url, data={"token": mine}).json(), {"active": False})


if __name__ == "__main__":
    unittest.main()
