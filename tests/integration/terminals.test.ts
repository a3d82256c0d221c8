import { mkdir, readFile, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { TerminalService } from '../../src-main/host/terminals/terminal-service.ts'
import { terminals } from '../../src-shared/api/terminals.ts'
import { utf8 } from '../../src-shared/base/bytes.ts'
import { WINDOW, type ByteStream } from '../../src-shared/rpc/byte-stream.ts'
import { RpcClient } from '../../src-shared/rpc/client.ts'
import { RpcServer } from '../../src-shared/rpc/server.ts'
import { memoryWirePair } from '../../src-shared/rpc/wires/memory-wire.ts'
import { tempFolder } from '../support/temp-folder.ts'

const size = { cols: 80, rows: 24 }

/** A client of a real terminal service. */
function connect(allowed = true) {
  const service = new TerminalService({ allowed })
  const [near, far] = memoryWirePair()
  const server = new RpcServer()
  server.register(terminals, service.handlers)
  server.attach(far, { kind: 'test' })
  const client = new RpcClient(near)
  onTestFinished(() => {
    client.dispose()
    service.dispose()
  })
  return { service, client, api: client.service(terminals) }
}

/** Reads until the newest text matches; all that came. */
async function until(stream: ByteStream, pattern: RegExp): Promise<string> {
  const decoder = new TextDecoder()
  const pieces: string[] = []
  let tail = ''
  while (!pattern.test(tail)) {
    const bytes = await stream.read()
    if (!bytes) throw new Error(`The terminal ended; it printed ${JSON.stringify(pieces.join(''))}`)
    const piece = decoder.decode(bytes, { stream: true })
    pieces.push(piece)
    tail = tail.slice(-500) + piece
  }
  return pieces.join('')
}

async function isGone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0)
    } catch {
      return
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

describe.skipIf(process.platform === 'win32')('host terminals', () => {
  const shell = process.env['SHELL']
  beforeEach(() => {
    process.env['SHELL'] = '/bin/sh'
    process.env['COPPICE_LIBRARY'] = '/secret'
  })
  afterEach(() => {
    if (shell === undefined) delete process.env['SHELL']
    else process.env['SHELL'] = shell
    delete process.env['COPPICE_LIBRARY']
  })

  test('refused where they are not allowed', async () => {
    const { api } = connect(false)
    await expect(api.open(size)).rejects.toMatchObject({ code: 'denied', message: expect.stringContaining('--allow-terminal') as string })
  })

  test('a shell in the wished folder and size, with a clean environment; resize is seen', async () => {
    const { api } = connect()
    const cwd = join(await realpath(await tempFolder()), 'ü')
    await mkdir(cwd)
    const { opening, stream } = await api.open({ ...size, cwd })
    expect(opening.shell).toBe('sh')
    await stream.write(utf8('pwd; stty size; echo [$COPPICE_LIBRARY]$TERM\n'))
    const text = await until(stream, /\]xterm-256color\r\n/)
    expect(text).toContain(`${cwd}\r\n24 80\r\n[]`)
    await api.resize({ terminal: opening.terminal, cols: 132, rows: 50 })
    await stream.write(utf8('stty size\n'))
    await until(stream, /50 132\r\n/)
    stream.close()
  })

  test('a folder that is not there, or not absolute, is refused', async () => {
    const { api } = connect()
    await expect(api.open({ ...size, cwd: join(await tempFolder(), 'none') })).rejects.toMatchObject({ code: 'not-found' })
    await expect(api.open({ ...size, cwd: 'src' })).rejects.toMatchObject({ code: 'not-found' })
  })

  test('the shell’s exit ends the stream after all that it printed', async () => {
    const { api } = connect()
    const { opening, stream } = await api.open(size)
    await stream.write(utf8('echo last-$((6*7)); exit\n'))
    let text = ''
    for await (const bytes of stream) text += Buffer.from(bytes).toString()
    expect(text).toContain('last-42')
    expect(stream.closed).toBe(true)
    await expect(api.resize({ terminal: opening.terminal, ...size })).rejects.toMatchObject({ code: 'not-found' })
  })

  test('closing the stream ends the shell and what runs in it, stubborn or not', async () => {
    const { api } = connect()
    const { stream } = await api.open(size)
    await stream.write(utf8(`trap '' HUP; echo pid-$$-; exec sleep 1000\n`))
    const pid = Number(/pid-(\d+)-/.exec(await until(stream, /pid-\d+-/))![1])
    stream.close()
    await isGone(pid)
  })

  test('the wire’s end ends the shell', async () => {
    const { api, client } = connect()
    const { stream } = await api.open(size)
    await stream.write(utf8('echo pid-$$-\n'))
    const pid = Number(/pid-(\d+)-/.exec(await until(stream, /pid-\d+-/))![1])
    client.dispose()
    await isGone(pid)
  })

  test('a reader that does not read stops the program that prints; nothing is lost', async () => {
    const { api } = connect()
    const { stream } = await api.open(size)
    // Notes in a file how far it came, so that the test sees it wait.
    const progress = join(await tempFolder(), 'progress')
    await stream.write(
      utf8(
        `stty -echo -opost; i=0; while [ $i -lt 40000 ]; do echo line-$i-0123456789; [ $((i % 500)) = 0 ] && echo $i > ${progress}; i=$((i+1)); done; echo the-end\n`,
      ),
    )
    const reached = async (): Promise<number> => Number(await readFile(progress, 'utf8').catch(() => '0'))
    let before = -1
    for (let now = 0; now !== before || now === 0; now = await reached()) {
      before = now
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
    // It waits well before its end: window + high water + the kernel's buffers.
    expect(before * 20).toBeLessThan(WINDOW + 500_000)
    expect(before).toBeLessThan(39_500)
    const text = await until(stream, /\nthe-end\n/)
    const lines = text.slice(text.indexOf('line-0-')).split('\n')
    expect(lines.slice(0, 40_000)).toEqual(Array.from({ length: 40_000 }, (_, at) => `line-${at}-0123456789`))
    stream.close()
  }, 60_000)

  test('the service’s end ends every shell', async () => {
    const { api, service } = connect()
    const streams = await Promise.all([api.open(size), api.open(size)])
    const pids: number[] = []
    for (const { stream } of streams) {
      await stream.write(utf8('echo pid-$$-\n'))
      pids.push(Number(/pid-(\d+)-/.exec(await until(stream, /pid-\d+-/))![1]))
    }
    service.dispose()
    await Promise.all(pids.map(isGone))
  })
})
