/** One image served by qemu-nbd on a Unix socket, with a client of it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { NbdClient } from './nbd-client.ts'

export interface ServedByQemu {
  client: NbdClient
  close(): Promise<void>
}

/** @param socket a path that nothing has */
export async function serveByQemu(image: string, socket: string): Promise<ServedByQemu> {
  const child = spawn('qemu-nbd', ['--format=qcow2', '--cache=writeback', '--discard=unmap', `--socket=${socket}`, image], {
    stdio: 'inherit',
  })
  await once(child, 'spawn')
  try {
    const client = await NbdClient.connect(socket)
    const close = (): Promise<void> => {
      client.close()
      return end(child)
    }
    return { client, close }
  } catch (error) {
    await end(child)
    throw error
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill()
  await once(child, 'exit')
}
