import type { Log } from '../log.ts';
import type { TorCommands } from '../../tor-control/commands.ts';

/** SIGNAL dump (TC 3.10): Tor's connections, circuits and streams into our log. */
export async function dumpTor(control: TorCommands, log: Log): Promise<void> {
  await control.signal('DUMP'); // into Tor's own log, the details at the level info
  const info = await control.getInfo('orconn-status', 'circuit-status', 'stream-status');
  const linesOf = (key: string): string[] =>
    (info.get(key) ?? '').split('\n').filter((line) => line !== '');
  const connections = linesOf('orconn-status');
  const circuits = linesOf('circuit-status');
  const streams = linesOf('stream-status');
  const write = (text: string): void => log.write('notice', text);
  write(
    `${connections.length} OR connections, ${circuits.length} circuits, ${streams.length} streams`,
  );
  for (const line of connections) write(`OR connection ${line}`);
  for (const line of circuits) write(`circuit ${line.replace(/ BUILD_FLAGS=.*$/, '')}`);
  for (const line of streams) {
    const [id, status, circuit, target = ''] = line.split(' ');
    write(`stream ${id} to ${log.conceal(target)}: ${status}, circuit ${circuit}`);
  }
}
