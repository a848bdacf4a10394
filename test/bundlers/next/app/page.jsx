import { connect } from "tabmq";
import { Story } from "./story.jsx";

// Rendered on the server, at each request.
export const dynamic = "force-dynamic";

export default async function Page() {
  const code = await connect().then(() => "connected", (error) => error.code);
  return (
    <main data-server={code}>
      <Story />
    </main>
  );
}
