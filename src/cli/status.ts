/** The answer to SIGUSR1. */

/** A line about this process, without addresses: how long it runs, and what it holds open. */
export function describeProcess(): string {
  const kinds = process.getActiveResourcesInfo();
  const count = (kind: string): number => kinds.filter((name) => name === kind).length;
  const megabytes = Math.round(process.memoryUsage.rss() / 1e6);
  return (
    `running for ${Math.round(process.uptime())} s; TCP listeners: ${count('TCPServerWrap')}, ` +
    `TCP connections: ${count('TCPSocketWrap')}, memory: ${megabytes} MB`
  );
}
