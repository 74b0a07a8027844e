"""
The client's ways to its proxy: through web proxies, and over TLS.
"""

from __future__ import annotations

import sys
from pathlib import Path

import trustme

from integration.processes import HERE, Process, ProcessTestCase, freePort

#: A name that leads nowhere but through the web proxy.
_NAME = "pushprox.test"


class WayTests(ProcessTestCase):
    """
    Ways on which polls and pushes travel, and scrapes do not.
    """

    def _certificates(self, *names: str) -> tuple[Path, str]:
        """
        Make a CA, and a proxy's certificate from it.

        @return: the CA's file, and the endpoint to listen on, less its port.
        """
        folder = self.folder()
        authority = trustme.CA()
        certificate = authority.issue_cert(*names)
        ca, key, chain = (folder / f"{name}.pem" for name in ("ca", "key", "cert"))
        authority.cert_pem.write_to_path(str(ca))
        certificate.private_key_pem.write_to_path(str(key))
        certificate.cert_chain_pems[0].write_to_path(str(chain))
        return ca, f"interface=127.0.0.1:privateKey={key}:certKey={chain}"

    async def _webProxy(self, upstreamPort: int) -> tuple[Process, str]:
        """
        Start a web proxy that leads to this port.

        @return: it, and its URL.
        """
        port = freePort()
        process = self.start(
            sys.executable, HERE / "webproxy.py", str(port), str(upstreamPort)
        )
        await self.listening(process, port)
        return process, f"http://out:letmeout@127.0.0.1:{port}"

    async def _assertScrapes(self, proxyPort: int) -> str:
        """
        A scrape through this proxy succeeds.

        @return: the host and port of its target.
        """
        target = await self.exporter()
        await self.connected(proxyPort)
        scraped = await self.scrape(proxyPort, f"http://localhost:{target}/plain")
        self.assertTrue(scraped.isWhole, scraped)
        return f"localhost:{target}"

    async def test_webProxy(self) -> None:
        """
        With HTTP_PROXY, polls and pushes go through the web proxy with the
        password from its URL; scrapes never do.
        """
        _, proxyPort = await self.proxy()
        webProxy, url = await self._webProxy(proxyPort)
        self.client(
            f"http://{_NAME}:8080/",
            environment={"HTTP_PROXY": url, "http_proxy": url},
        )
        target = await self._assertScrapes(proxyPort)
        self.assertIn(f"POST http://{_NAME}:8080/poll HTTP/1.1", webProxy.output)
        self.assertIn(f"POST http://{_NAME}:8080/push HTTP/1.1", webProxy.output)
        self.assertNotIn(target, webProxy.output)

    async def test_webProxyAndTLS(self) -> None:
        """
        With HTTPS_PROXY, a proxy with an https URL is reached by CONNECT; what
        travels is for the proxy's eyes only.
        """
        ca, endpoint = self._certificates(_NAME)
        tlsPort = freePort()
        _, proxyPort = await self.proxy(f"--listen=ssl:{tlsPort}:{endpoint}")
        webProxy, url = await self._webProxy(tlsPort)
        client = self.client(
            f"https://{_NAME}/", f"--tls.cacert={ca}", environment={"HTTPS_PROXY": url}
        )
        target = await self._assertScrapes(proxyPort)
        lines = set(webProxy.output.splitlines())
        self.assertEqual(lines, {f"CONNECT {_NAME}:443 HTTP/1.1"}, client)
        self.assertNotIn(target, webProxy.output)

    async def test_noProxy(self) -> None:
        """
        With NO_PROXY naming the host, the web proxy is left out.
        """
        _, proxyPort = await self.proxy()
        webProxy, url = await self._webProxy(proxyPort)
        self.client(proxyPort, environment={"HTTP_PROXY": url, "NO_PROXY": "127.0.0.1"})
        await self._assertScrapes(proxyPort)
        self.assertEqual(webProxy.output, "")

    async def test_ownAuthority(self) -> None:
        """
        A proxy with a certificate of one's own CA is trusted with --tls.cacert,
        and not without.
        """
        ca, endpoint = self._certificates("localhost")
        tlsPort = freePort()
        _, proxyPort = await self.proxy(f"--listen=ssl:{tlsPort}:{endpoint}")
        url = f"https://localhost:{tlsPort}/"
        wary = self.client(url)
        await wary.said("certificate verify failed")
        self.assertEqual(
            (await self.metrics(proxyPort))["pushprox_proxy_connected_clients"], 0
        )
        await wary.stop()
        self.client(url, f"--tls.cacert={ca}")
        await self._assertScrapes(proxyPort)
