"""The operators' console in a browser tab, driven as an operator would."""

import json
from typing import Self

from playwright.async_api import Locator, expect

from tests.e2e.page_tab import Tab


class Console(Tab):
    """One operator's tab."""

    async def operate(self, user: str, token: str, address: str = "") -> Self:
        """Load the console with a log-in that it remembers."""
        session = json.dumps({"user": user, "token": token})
        await self.page.goto(f"{self.url}/console#{address}")
        await self.page.evaluate(
            "session => sessionStorage.setItem('readcast.session.operator', session)", session
        )
        await self.page.reload()
        return self

    async def write(self, mailbox: str, title: str, text: str, /, **more: str) -> None:
        """Fill the form in; `more`: its other fields by name."""
        await self.page.get_by_role("link", name="New notice").click()
        fields = {"mailbox": mailbox.removeprefix("public:"), "title": title, "text": text} | more
        if "audience" in fields and not await self.field("audience").is_visible():
            await self.page.locator("summary").click()
        for name, value in fields.items():
            await self.field(name).fill(value)

    async def publish(self, mailbox: str, title: str, text: str, **more: str) -> str:
        """Publish; returns the address of the new publish."""
        await self.write(mailbox, title, text, **more)
        await self.page.locator("#form-submit").click()
        await expect(self.page.locator("#publish-title")).to_have_text(title)
        return self.page.url.partition("#")[2]

    async def choose(self, percent: int) -> None:
        await self.page.locator(".steps label").filter(has_text=f"{percent} %").last.click()

    async def raise_to(self, percent: int) -> None:
        await self.page.locator("#release-percent").fill(str(percent))
        await self.button(f"Raise to {percent} %").click()

    async def look_as(self, user: str, claims: str = "") -> Locator:
        """What a user would see."""
        await self.page.locator("#look-user").fill(user)
        await self.page.locator("#look-claims").fill(claims)
        await self.button("Look").click()
        return self.page.locator("#look-result")

    def field(self, name: str) -> Locator:
        return self.page.locator(f"#form-{name}")

    def fault(self, name: str) -> Locator:
        return self.page.locator(f"#{name}-error")

    @property
    def state(self) -> Locator:
        return self.page.locator("#publish-state")

    @property
    def conflict(self) -> Locator:
        return self.page.locator("#conflict")

    def count(self, name: str) -> Locator:
        return self.page.locator(f"#count-{name}")
