/** A real QEMU process with our arguments and a plain QMP client of the tests' own, so that little of the product but the arguments is tried. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect } from 'vitest'
import { qemuArguments } from '../../src-main/engines/qemu/arguments/qemu-arguments.ts'
import { runtimeIn, type Endpoint } from '../../src-main/engines/qemu/arguments/runtime.ts'
import { connectWhenReady } from '../../src-main/engines/qemu/supervise/endpoint.ts'
import type { MachineSpec } from '../../src-shared/model/machine-spec.ts'

/** ms from the appearance of a socket to when its owner listens. */
const LISTEN_LIMIT = 5000

/** One QMP client: asks one command after the other. */
export class Monitor {
  #socket: Socket
  #lines: AsyncIterator<string>

  private constructor(socket: Socket) {
    this.#socket = socket
    this.#lines = createInterface(socket)[Symbol.asyncIterator]()
  }

  static async open(endpoint: Endpoint): Promise<Monitor> {
    const socket = await connectWhenReady(endpoint, AbortSignal.timeout(LISTEN_LIMIT))
    const monitor = new Monitor(socket)
    expect(await monitor.#next()).toHaveProperty('QMP')
    await monitor.ask('qmp_capabilities')
    return monitor
  }

  async ask<T>(execute: string, args: object = {}): Promise<T> {
    this.#socket.write(`${JSON.stringify({ execute, arguments: args })}\n`)
    for (;;) {
      const answer = (await this.#next()) as { return?: T; error?: { desc: string } }
      if (answer.error) throw new Error(answer.error.desc)
      if ('return' in answer) return answer.return as T
    }
  }

  async #next(): Promise<unknown> {
    const { value, done } = await this.#lines.next()
    if (done) throw new Error('QMP ended.')
    return JSON.parse(value)
  }

  close(): void {
    this.#socket.destroy()
  }
}

/**
 * Starts it in `folder`, which must be short and private; lets `look` ask while it stands before its first instruction; and ends it.
 * It must say nothing on stderr.
 */
export async function withQemu(spec: MachineSpec, folder: string, look: (monitor: Monitor) => Promise<void>): Promise<void> {
  const runtime = runtimeIn(folder, spec, join)
  const platform = { os: process.platform as 'linux' | 'darwin', arch: process.arch as 'x64' | 'arm64' }
  const child = spawn(spec.qemu!.binary, qemuArguments(spec, runtime, platform), { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = once(child, 'exit')
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  try {
    const path = runtime.qmp.kind === 'unix' ? runtime.qmp.path : ''
    await expect.poll(() => existsSync(path) || child.exitCode !== null, { timeout: 20_000 }).toBe(true)
    expect(child.exitCode, said).toBeNull()
    const monitor = await Monitor.open(runtime.qmp)
    const tools = await Monitor.open(runtime.tools)
    expect(await monitor.ask('query-status')).toMatchObject({ status: 'prelaunch', running: false })
    expect(await tools.ask('query-uuid')).toEqual({ UUID: spec.id })
    expect(Number(await readFile(runtime.pidFile, 'utf8'))).toBe(child.pid)
    await look(monitor)
    await monitor.ask('quit')
    tools.close()
    monitor.close()
    expect(await ended).toEqual([0, null])
    expect(said).toBe('')
  } finally {
    if (child.exitCode === null) {
      child.kill('SIGKILL')
      await ended
    }
  }
}
