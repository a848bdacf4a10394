/** What a newcomer sees where the messages will be. */
export function Guide() {
  return (
    <ol class="guide">
      <li>
        <h3>Send a message</h3>
        <p>It goes to one of the topic's queues and is on disk before you are told so.</p>
      </li>
      <li>
        <h3>See it arrive</h3>
        <p>This tab's consumer gets the message: it shows up here, and the queue's consumer offset moves.</p>
      </li>
      <li>
        <h3>Open another tab</h3>
        <p>Both consumers belong to one group, so they share the queues. Slow one down and watch a backlog grow.</p>
      </li>
    </ol>
  );
}
