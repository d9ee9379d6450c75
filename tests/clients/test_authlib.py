# SPDX-License-Identifier: Apache-2.0
"""Authlib."""
import unittest

import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from tls import TlsTest


class Authlib(TlsTest):
    def session(self, **fields):
        session = OAuth2Session(**{"client_id": self.client_id, "client_secret": self.secret, **fields})
        self.addCleanup(session.close)
        session.verify = self.certificate
        session.trust_env = False
        return session

    def fetch(self, session):
        return session.fetch_token(self.token_url, grant_type="client_credentials")

    def test_both_ways_of_authenticating_give_a_token(self):
        for method in ("client_secret_basic", "client_secret_post"):
            token = self.fetch(self.session(token_endpoint_auth_method=method))
            self.assertEqual((method, token["token_type"]), (method, "Bearer"))
            self.assertTrue(self.is_live(token["access_token"]))
            self.assertFalse(token.is_expired())

    def test_scope_narrows_the_roles(self):
        token = self.fetch(self.session(scope="work_creator"))
        self.assertEqual(token["scope"], "work_creator")
        self.assertEqual(self.roles_of(token["access_token"]), ["work_creator"])

    def refused(self, session):
        with self.assertRaises(OAuthError) as caught:
            self.fetch(session)
        self.assertTrue(caught.exception.description)
        return caught.exception.error

    def test_what_is_wrong_is_told_by_the_code_of_the_rfc(self):
        self.assertEqual(self.refused(self.session(client_secret="wrong")), "invalid_client")
        self.assertEqual(self.refused(self.session(scope="user_manager")), "invalid_scope")

    def test_a_token_is_introspected_and_revoked(self):
        session = self.session()
        mine = self.fetch(session)["access_token"]
        resource_server = self.session(token={"access_token": self.admin, "token_type": "Bearer"})

        def introspect():
            return resource_server.introspect_token(self.introspect_url, token=mine, auth=resource_server.token_auth)
        self.assertEqual(introspect().json()["client_id"], self.client_id)
        self.assertEqual(session.revoke_token(self.revoke_url, token=mine).status_code, 200)
        self.assertFalse(self.is_live(mine))
        self.assertEqual(introspect().json(), {"active": False})

    def test_a_resource_server_introspects_with_its_secret(self):
        mine = self.daemon.issue(self.client_id, self.secret).access_token
        for method in ("client_secret_basic", "client_secret_post"):
            session = self.session(client_id=self.daemon.client_id, client_secret=self.daemon.secret,
                                   token_endpoint_auth_method=method)
            answer = session.introspect_token(self.introspect_url, token=mine)
            self.assertEqual((method, answer.status_code, answer.json()["client_id"]), (method, 200, self.client_id))
        self.assertEqual(self.session().introspect_token(self.introspect_url, token=mine).status_code, 403)

    def test_the_metadata_is_valid_and_where_the_rfc_looks_for_it(self):
        url = get_well_known_url(self.base, external=True)
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(url, verify=self.certificate)
        self.assertEqual(answer.status_code, 200)
        metadata = AuthorizationServerMetadata(answer.json())
        for key in AuthorizationServerMetadata.REGISTRY_KEYS:
            if key not in ("authorization_endpoint", "response_types_supported"):  # of grants that there are not
                getattr(metadata, "validate_" + key)()
        self.assertEqual((metadata["issuer"], metadata["token_endpoint"], metadata["introspection_endpoint"],
                          metadata["revocation_endpoint"]),
                         (self.base, self.token_url, self.introspect_url, self.revoke_url))


if __name__ == "__main__":
    unittest.main()
