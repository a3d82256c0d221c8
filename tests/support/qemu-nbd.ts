/** The computer's own NBD server, serving an image until it is killed. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'

export interface QemuNbd {
  /** As a drive's path has it. */
  address: string
  /** kill -9. */
  kill(): Promise<void>
  /** Serves again, at the same place. */
  again(): Promise<void>
}

export interface QemuNbdOptions {
  format?: string
  exportName?: string
  readOnly?: boolean
  more?: readonly string[]
}

/** @param socket a path, or null for a port of the loopback */
export async function qemuNbd(image: string, socket: string | null, options: QemuNbdOptions = {}): Promise<QemuNbd> {
  const { format = 'raw', exportName = 'disk', readOnly = false, more = [] } = options
  const port = socket === null ? await freePort() : 0
  const where = socket === null ? ['-b', '127.0.0.1', '-p', String(port)] : ['-k', socket]
  let child: ChildProcess | null = null
  const start = async (): Promise<void> => {
    child = spawn('qemu-nbd', ['-f', format, '-x', exportName, '-t', '-e', '8', ...(readOnly ? ['-r'] : []), ...where, ...more, image], {
      stdio: 'ignore',
    })
    await listening(socket === null ? { host: '127.0.0.1', port } : { path: socket })
  }
  const kill = async (): Promise<void> => {
    const ended = child
    child = null
    if (!ended || ended.exitCode !== null) return
    const exit = once(ended, 'exit')
    ended.kill('SIGKILL')
    await exit
  }
  onTestFinished(kill)
  await start()
  const name = encodeURIComponent(exportName)
  return {
    address: socket === null ? `nbd://127.0.0.1:${port}/${name}` : `nbd+unix:///${name}?socket=${encodeURIComponent(socket)}`,
    kill,
    again: start,
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

async function listening(where: { path: string } | { host: string; port: number }): Promise<void> {
  for (;;) {
    const socket = connect(where)
    const is = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (is) return
    await sleep(20)
  }
}
