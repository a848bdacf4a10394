/** The panel of the broker when the browser gives no more room: what it says, and that what it advises helps. */
import { afterEach, expect, test } from "vitest";
import { accessibilityViolations, devtoolsTab, openDevtoolsHouse } from "../../support/devtools-house.ts";
import type { House, Tab } from "../../support/house.ts";

const QUOTA = 24 * 2 ** 20;

let house: House;
let complaints: string[] = [];
afterEach(async () => {
  await house.close();
  expect(complaints.splice(0)).toEqual([]);
});

/** The codes of the errors with which large messages and then small ones are refused, until none fits. */
function fillUp(app: Tab): Promise<string[]> {
  return app.run(async ({ producer }) => {
    const refused: string[] = [];
    const send = (bytes: number): Promise<boolean> =>
      producer.send({ topic: "ballast", body: crypto.getRandomValues(new Uint8Array(bytes)) }).then(() => true, (error: { code: string }) => (refused.push(error.code), false));
    for (const bytes of [50_000, 1000]) for (let inARow = 0; inARow < 3; ) inARow = (await send(bytes)) ? 0 : inARow + 1;
    return refused;
  });
}

const canSend = (app: Tab): Promise<boolean> => app.run(({ producer }) => producer.send({ topic: "ballast", body: "one more" }).then(() => true, () => false));

test("a full store is said, with what to do; the link leads to the limit of the log, which cuts it; with room again it goes", async () => {
  house = await openDevtoolsHouse();
  const app = await house.tab();
  const session = await app.chromium.context().newCDPSession(app.chromium);
  await session.send("Storage.overrideQuotaForOrigin", { origin: house.origin, quotaSize: QUOTA });
  await app.connect({ namespace: "n" });
  const page = (await devtoolsTab(house, "/broker", { complaints })).chromium;
  // Chromium does not say how much there is, whatever it is: that is said, and no figure is shown for it.
  await page.getByText("This browser does not say how much room is left").waitFor();
  expect(await page.getByRole("meter").count()).toBe(0);
  const full = page.locator("[data-full]");
  expect(await full.count()).toBe(0);

  expect(new Set(await fillUp(app))).toEqual(new Set(["STORAGE_FULL"]));
  // The application's refused message is enough to know it.
  await full.getByText("Storage is full: sends are refused.").waitFor();
  await page.getByRole("link", { name: "Diagnostics", exact: true }).click();
  await page.getByText("Storage is full: sends are refused", { exact: true }).waitFor();
  // A message of the element's own is refused in words.
  await page.getByRole("link", { name: "Topics", exact: true }).click();
  await page.getByRole("link", { name: "ballast" }).click();
  await page.getByRole("radio", { name: "Text" }).check({ force: true });
  await page.getByLabel("Body", { exact: true }).fill("x".repeat(100_000));
  await page.getByRole("button", { name: "Send a message" }).click();
  await page.getByText("The browser's storage quota for this origin is used up.").waitFor();
  await page.getByRole("link", { name: "Broker", exact: true }).click();
  await full.getByText("Storage is full: sends are refused.").waitFor();
  expect(await accessibilityViolations(page)).toEqual([]);

  await full.getByRole("link", { name: "maxStoreBytes" }).click();
  const row = page.locator("[data-setting=maxStoreBytes]");
  await row.getByLabel("Unit").selectOption("MiB");
  await row.getByLabel("New value").fill("2");
  await row.getByLabel("New value").press("Enter");
  await expect.poll(() => row.innerText()).toMatch(/2(\.0)? MiB/);
  // The log is cut at once. When Chromium counts that as room is its affair; here other data of the origin go.
  await expect.poll(() => app.run(async ({ mq }) => (await mq.diagnostics()).broker.retention.removedMessages)).toBeGreaterThan(0);
  await session.send("Storage.overrideQuotaForOrigin", { origin: house.origin, quotaSize: 4 * QUOTA });
  await expect.poll(() => canSend(app)).toBe(true);
  await full.waitFor({ state: "detached" });
});
