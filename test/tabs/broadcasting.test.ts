import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { House, type Tab, until } from "../support/house.ts";

let house: House;
beforeAll(async () => void (house = await House.open()));
afterEach(() => house.closeTabs());
afterAll(() => house.close());

const NAMESPACE = "broadcast";

/** Joins the broadcasting group, from the end unless it has been there, and notes what it gets in this life of the page. */
function listen(tab: Tab): Promise<string> {
  return tab.run(async (side) => {
    const got: string[] = [];
    side.box.got = got;
    const consumer = await side.mq.createPushConsumer({
      consumerGroup: "news", subscriptions: { news: "*" }, messageModel: "BROADCASTING", messageListener: (message) => void got.push(message.text()),
    });
    return consumer.offsetStore;
  });
}

const gotBy = async (tab: Tab): Promise<string[]> => ((await tab.run(({ box }) => box.got)) as string[]).sort();

describe("a broadcasting group in real tabs", () => {
  test("everybody gets everything; a reloaded and a crashed tab go on from what local storage knows, and without a clientId nothing is kept", async () => {
    const [sender, named, nameless] = [await house.tab(), await house.tab(), await house.tab()];
    await sender.connect({ namespace: NAMESPACE });
    await sender.createTopic("news", 2);
    await named.connect({ namespace: NAMESPACE, clientId: "named" });
    await nameless.connect({ namespace: NAMESPACE });
    expect(await listen(named)).toBe("browser");
    expect(await listen(nameless)).toBe("memory");
    await sender.send("news", ["1", "2", "3", "4"]);
    await until(async () => (await gotBy(named)).length === 4 && (await gotBy(nameless)).length === 4);

    await named.page.reload();
    await nameless.page.reload();
    await sender.send("news", ["5", "6"]);
    await named.connect({ namespace: NAMESPACE, clientId: "named" });
    await nameless.connect({ namespace: NAMESPACE });
    await listen(named);
    await listen(nameless);
    await until(async () => (await gotBy(named)).length === 2);
    await sender.send("news", ["7"]);
    await until(async () => (await gotBy(nameless)).length === 1);
    await until(async () => (await gotBy(named)).length === 3);
    expect([await gotBy(named), await gotBy(nameless)]).toEqual([["5", "6", "7"], ["7"]]);

    await named.crash();
    await sender.send("news", ["8"]);
    const heir = await house.tab();
    await until(async () => (await heir.tryConnect({ namespace: NAMESPACE, clientId: "named" })).code === "connected");
    await listen(heir);
    // The crash may have been within the second by which local storage lags: then the last ones come again, and none is missing.
    await until(async () => (await gotBy(heir)).includes("8"));
    expect(["5", "6", "7", "8"]).toEqual(expect.arrayContaining(await gotBy(heir)));
  });
});
