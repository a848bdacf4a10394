/** The panel of diagnostics, beside applications with troubles. Which findings there are is devtools-findings.test.ts. */
import { afterEach, expect, test } from "vitest";
import { accessibilityViolations, devtoolsTab, openDevtoolsHouse } from "../../support/devtools-house.ts";
import { type House, until } from "../../support/house.ts";

let house: House;
let complaints: string[] = [];
afterEach(async () => {
  await house.close();
  expect(complaints.splice(0)).toEqual([]);
});

const KEY = "k".repeat(32);
const SECRET = "<img src=x onerror=alert('secret')>";

test("troubles are found, lead to where they are mended, and go when they are", async () => {
  // A worker that may not compile WebAssembly.
  house = await openDevtoolsHouse({ headers: { "/dist/worker.js": { "content-security-policy": "default-src 'self'" } } });
  const app = await house.tab();
  await app.connect({ namespace: "n" });
  await app.send("orders", ["1", "2", "3"]);
  await app.run(async ({ mq }) => {
    const pull = await mq.createPullConsumer({ consumerGroup: "lonely", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
    pull.subscribe("orders");
    while ((await pull.poll({ max: 1 })).length === 0);
    await pull.commit();
    await pull.shutdown();
    const failing = await mq.createPushConsumer({
      consumerGroup: "failing", subscriptions: { orders: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", maxReconsumeTimes: 0,
      messageListener: () => {
        throw new Error("<img src=x onerror=alert('reason')>");
      },
    });
    while ((await mq.admin.deadLetters("failing")).length < 3) await new Promise((resolve) => setTimeout(resolve, 20));
    await failing.shutdown();
  });
  const { chromium: page } = await devtoolsTab(house, "/diagnostics", { complaints });
  const finding = (id: string) => page.locator(`[data-finding=${id}]`);
  await finding("typescript").getByText("'wasm-unsafe-eval'").waitFor();
  await finding("noMember").getByText("1 group has a backlog and no consumer").waitFor();
  await finding("deadLetters").getByText("3 dead letters").waitFor();
  expect(await finding("noMember").getByRole("link").first().getAttribute("href")).toBe("#/groups/lonely");
  // The worst first.
  const severities = await page.locator("[data-severity]").evaluateAll((elements) => elements.map((element) => element.getAttribute("data-severity")));
  expect(severities).toEqual([...severities].sort((one, other) => ["error", "warning", "note", "good"].indexOf(one!) - ["error", "warning", "note", "good"].indexOf(other!)));
  expect(severities).toEqual(expect.arrayContaining(["warning", "note", "good"]));

  expect(await accessibilityViolations(page)).toEqual([]);
  // A control: what has no name is found.
  await page.evaluate(() => void document.querySelector("tabmq-devtools")!.shadowRoot!.querySelector("main")!.append(document.createElement("button")));
  expect(await accessibilityViolations(page, ["light"])).toEqual([expect.stringContaining("button-name")]);

  await finding("deadLetters").getByRole("link", { name: "failing" }).click();
  await expect.poll(() => page.evaluate("location.hash")).toBe("#/dead-letters/failing");
  await page.getByRole("link", { name: "Diagnostics" }).click();
  await finding("noMember").waitFor();
  await app.run(async ({ mq }) => void (await mq.createPushConsumer({ consumerGroup: "lonely", subscriptions: { orders: "*" }, messageListener: () => {} })));
  await finding("noMember").waitFor({ state: "detached" });
  expect(await page.locator("img").count()).toBe(0);
  await page.setViewportSize({ width: 390, height: 844 });
  expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(390);
});

test("the report that is copied says everything but messages and keys", async () => {
  house = await openDevtoolsHouse();
  await house.context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const tab = await devtoolsTab(house, "/diagnostics", { key: KEY, complaints });
  const page = tab.chromium;
  await tab.run(async ({ mq }, body) => {
    const producer = await mq.createProducer({ producerGroup: "p" });
    await producer.send({ topic: "orders", body, tags: "secret-tag", keys: "secret-key" });
    const pull = await mq.createPullConsumer({ consumerGroup: "reports", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
    pull.subscribe("orders");
    while ((await pull.poll({ max: 1 })).length === 0);
    await pull.commit();
  }, SECRET);
  await page.locator("[data-finding=encrypted]").waitFor();
  await page.bringToFront();
  const copied = async (): Promise<string> => {
    await page.getByRole("button", { name: "Copy report" }).click();
    await page.getByText("Copied.", { exact: true }).first().waitFor();
    return page.evaluate(() => navigator.clipboard.readText());
  };
  let text = "";
  await until(async () => (text = await copied()).includes("reports"));
  const report = JSON.parse(text) as { findings: string[]; report: { broker: { encrypted: boolean; epoch: number }; settings: object }; stats: { putMessages: number }; groups: { group: string }[] };
  expect(report.report.broker).toMatchObject({ encrypted: true, epoch: 1 });
  expect(report.stats.putMessages).toBeGreaterThan(0);
  expect(report.groups).toEqual([expect.objectContaining({ group: "reports", lag: 0 })]);
  expect(report.findings).toEqual(expect.arrayContaining(["good: encrypted", "warning: notPersisted"]));
  for (const secret of ["secret", "onerror", KEY, btoa(KEY)]) expect(text).not.toContain(secret);

  await page.getByText("Raw report").click();
  await expect.poll(() => page.locator("pre").innerText()).toContain('"encrypted": true');
});

test("where nothing may be copied the report can be read", async () => {
  house = await openDevtoolsHouse();
  const { chromium: page } = await devtoolsTab(house, "/diagnostics", { complaints });
  await page.evaluate(() => void Object.defineProperty(navigator, "clipboard", { value: undefined }));
  await page.getByRole("button", { name: "Copy report" }).click();
  await page.getByText("The browser does not let this page copy.").first().waitFor();
  expect(await page.locator("pre").textContent()).toContain('"epoch"');
});
