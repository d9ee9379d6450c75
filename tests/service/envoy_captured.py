# SPDX-License-Identifier: Apache-2.0
"""CheckRequests as Envoy 1.40.0 sent them, byte by byte, asked for this:

    POST /api/cases/17?secret=1 HTTP/1.1        Host, User-Agent, Accept, Cookie, Content-Length
    Authorization: Bearer gate_at_XXX…          in place of a token, and as long
    X-Auth-Roles: user_manager
    X-Name: Espa\xf1a                           not UTF-8; where headers are text, Envoy makes it "Espa!a"
"""
import base64

TOKEN = "gate_at_" + "X" * 55


def request(captured, token=TOKEN):
    """With this token in it, which is as long."""
    assert len(token) == len(TOKEN)
    return base64.b64decode(captured).replace(TOKEN.encode(), token.encode())


# deploy/gateways/envoy.yaml as it is.
EXAMPLE = (
    "CoYCChMKEQoPEgkxMjcuMC4wLjEYtrYCEhMKEQoPEgkxMjcuMC4wLjEY9a8CIr8BCgwIz7KX2AYQiMH2rgMSrgEKFDE1MjE3NDY4NDY1MjAx"
    "Nzg2Nzk2EgRQT1NUGlcKDWF1dGhvcml6YXRpb24SRkJlYXJlciBnYXRlX2F0X1hYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhY"
    "WFhYWFhYWFhYWFhYWFhYWFhYWFgiFi9hcGkvY2FzZXMvMTc/c2VjcmV0PTEqD2FwaS5leGFtcGxlLmNvbTIEaHR0cFIISFRUUC8xLjFSFAoE"
    "cm9sZRIMd29ya19jcmVhdG9yWgBqAA=="
)

# Without allowed_headers, with the body (with_request_body).
HEADERS = (
    "CuIEChMKEQoPEgkxMjcuMC4wLjEY7NcDEhMKEQoPEgkxMjcuMC4wLjEYiYMDIpsECgwIz7KX2AYQsO7l8QISigQKEjQzNzMzMTQxNTY2MTk4"
    "NTM2NBIEUE9TVBo0Cgx4LXJlcXVlc3QtaWQSJGE0N2JmOWZjLTEwOGItNGE3MC04ODY3LWE3YzA5MjA2ZWUxZRoiChl4LWVudm95LWF1dGgt"
    "cGFydGlhbC1ib2R5EgVmYWxzZRofCgU6cGF0aBIWL2FwaS9jYXNlcy8xNz9zZWNyZXQ9MRpXCg1hdXRob3JpemF0aW9uEkZCZWFyZXIgZ2F0"
    "ZV9hdF9YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYGg0KBmNvb2tpZRIDYT1iGhMKDmNv"
    "bnRlbnQtbGVuZ3RoEgE1GhkKEXgtZm9yd2FyZGVkLXByb3RvEgRodHRwGh0KCjphdXRob3JpdHkSD2FwaS5leGFtcGxlLmNvbRoPCgc6c2No"
    "ZW1lEgRodHRwGg0KBmFjY2VwdBIDKi8qGhkKCnVzZXItYWdlbnQSC2N1cmwvNy44OC4xGg8KBzptZXRob2QSBFBPU1QaEAoGeC1uYW1lEgZF"
    "c3BhIWEaHAoMeC1hdXRoLXJvbGVzEgx1c2VyX21hbmFnZXIiFi9hcGkvY2FzZXMvMTc/c2VjcmV0PTEqD2FwaS5leGFtcGxlLmNvbTIEaHR0"
    "cEgFUghIVFRQLzEuMVoFaGVsbG9SFAoEcm9sZRIMd29ya19jcmVhdG9yWgBqAA=="
)

# The same with encode_raw_headers and pack_as_bytes.
RAW_HEADERS = (
    "CuYEChMKEQoPEgkxMjcuMC4wLjEY5rYCEhMKEQoPEgkxMjcuMC4wLjEYr9kCIp8ECgwIz7KX2AYQ8LqukAMSjgQKEzM3OTMzMTQ0OTgxOTkw"
    "Nzg5NjASBFBPU1QiFi9hcGkvY2FzZXMvMTc/c2VjcmV0PTEqD2FwaS5leGFtcGxlLmNvbTIEaHR0cEgFUghIVFRQLzEuMWIFaGVsbG9qrgMK"
    "HQoKOmF1dGhvcml0eRoPYXBpLmV4YW1wbGUuY29tCh8KBTpwYXRoGhYvYXBpL2Nhc2VzLzE3P3NlY3JldD0xCg8KBzptZXRob2QaBFBPU1QK"
    "DwoHOnNjaGVtZRoEaHR0cAoZCgp1c2VyLWFnZW50GgtjdXJsLzcuODguMQoNCgZhY2NlcHQaAyovKgoNCgZjb29raWUaA2E9YgpXCg1hdXRo"
    "b3JpemF0aW9uGkZCZWFyZXIgZ2F0ZV9hdF9YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhY"
    "ChwKDHgtYXV0aC1yb2xlcxoMdXNlcl9tYW5hZ2VyChAKBngtbmFtZRoGRXNwYfFhChMKDmNvbnRlbnQtbGVuZ3RoGgE1ChkKEXgtZm9yd2Fy"
    "ZGVkLXByb3RvGgRodHRwCjQKDHgtcmVxdWVzdC1pZBokOWQxMjJhNmItZTQ1MC00ZGRiLWI3ZDMtZjViMDAwNjgzNTk1CiIKGXgtZW52b3kt"
    "YXV0aC1wYXJ0aWFsLWJvZHkaBWZhbHNlUhQKBHJvbGUSDHdvcmtfY3JlYXRvcloAagA="
)

# Two authorization headers, "Bearer a" and "Bearer b".
TWO_TOKENS = (
    "CrsCChMKEQoPEgkxMjcuMC4wLjEY7NcDEhMKEQoPEgkxMjcuMC4wLjEYiYMDIvQBCgwIz7KX2AYQ6IC48wIS4wEKEzYxNjg5OTk5ODQ2NzE0"
    "MzkzNjgSA0dFVBoOCgc6bWV0aG9kEgNHRVQaNAoMeC1yZXF1ZXN0LWlkEiQ0N2M3MmQ2OS1lMjU2LTRkNTItOWNkYS03MDk1OTgyNjI3Nzca"
    "DwoKOmF1dGhvcml0eRIBaBoZChF4LWZvcndhcmRlZC1wcm90bxIEaHR0cBoKCgU6cGF0aBIBLxoiCg1hdXRob3JpemF0aW9uEhFCZWFyZXIg"
    "YSxCZWFyZXIgYhoPCgc6c2NoZW1lEgRodHRwIgEvKgFoMgRodHRwUghIVFRQLzEuMVIUCgRyb2xlEgx3b3JrX2NyZWF0b3JaAGoA"
)

# The same with encode_raw_headers.
TWO_TOKENS_RAW = (
    "Cr8CChMKEQoPEgkxMjcuMC4wLjEY5rYCEhMKEQoPEgkxMjcuMC4wLjEYr9kCIvgBCgwIz7KX2AYQkPWikQMS5wEKFDE0ODgxNTAzMDIzOTcw"
    "OTEwMTk5EgNHRVQiAS8qAWgyBGh0dHBSCEhUVFAvMS4xarMBCg8KCjphdXRob3JpdHkaAWgKCgoFOnBhdGgaAS8KDgoHOm1ldGhvZBoDR0VU"
    "Cg8KBzpzY2hlbWUaBGh0dHAKIgoNYXV0aG9yaXphdGlvbhoRQmVhcmVyIGEsQmVhcmVyIGIKGQoReC1mb3J3YXJkZWQtcHJvdG8aBGh0dHAK"
    "NAoMeC1yZXF1ZXN0LWlkGiQ5M2I0OTA1ZC1mNjM1LTRjYTEtOTRkMi1lNmJjZDNiNjk1NjhSFAoEcm9sZRIMd29ya19jcmVhdG9yWgBqAA=="
)
