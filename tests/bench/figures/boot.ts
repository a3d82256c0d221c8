/**
 * Power-on to prompt and resume to prompt through the host, as the window does it, beside a bare QEMU under TCG that boots the same kernel,
 * initramfs and command line in the same run.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import { machines, tasks } from '../../../src-shared/api/index.ts'
import { BOOT_COMPLETE_MARK } from '../../../src-shared/model/boot-mark.ts'
import { RpcClient } from '../../../src-shared/rpc/client.ts'
import type { Client } from '../../../src-shared/rpc/service.ts'
import { memoryWirePair } from '../../../src-shared/rpc/wires/memory-wire.ts'
import { startHost } from '../../../src-main/host/host.ts'
import { defaultHostOptions } from '../../support/host-options.ts'
import type { Figure } from '../figure.ts'

const RUNS = 5
const QEMU = 'qemu-system-i386'
const BOOT_LIMIT_MS = 120_000

export async function bootFigures(): Promise<Figure[]> {
  const library = await mkdtemp(path.join(tmpdir(), 'coppice-bench-'))
  const host = await startHost(defaultHostOptions(library))
  const [here, there] = memoryWirePair()
  host.server.attach(there, { kind: 'test' })
  const rpc = new RpcClient(here)
  const service = rpc.service(machines)
  const taskService = rpc.service(tasks)
  try {
    const finish = async (task: string): Promise<string | undefined> => {
      const ended = await taskService.wait({ id: task })
      if (ended.state !== 'done') throw new Error(ended.error?.message ?? ended.state)
      return ended.result?.id
    }
    const { task } = await service.create({ name: 'bench', source: { kind: 'sample' } })
    const id = (await finish(task))!
    const { config, bundle } = await service.get({ id })
    const boot = config!.boot
    if (boot.kind !== 'kernel') throw new Error('The sample boots by kernel.')
    const files = { kernel: path.join(bundle, boot.kernel), initrd: path.join(bundle, boot.initrd!), cmdline: boot.cmdline }

    const ours: number[] = []
    const bare: number[] = []
    for (let run = 0; run < RUNS; run++) {
      const from = performance.now()
      await service.start({ id })
      await service.waitBooted({ id })
      ours.push(performance.now() - from)
      await service.powerOff({ id })
      bare.push(await bootBareQemu(files, config!.memoryMiB))
    }

    const resume: number[] = []
    const save: number[] = []
    await service.start({ id })
    await service.waitBooted({ id })
    for (let run = 0; run < RUNS; run++) {
      const saveFrom = performance.now()
      await finish((await service.suspend({ id })).task)
      save.push(performance.now() - saveFrom)
      const from = performance.now()
      await service.start({ id })
      await answersAtPrompt(service, id, run)
      resume.push(performance.now() - from)
    }
    await service.powerOff({ id })
    return [
      {
        name: 'Power-on to prompt, Coppice Linux i386, embedded engine',
        unit: 'ms',
        values: ours,
        anchor: { name: `bare ${QEMU} -accel tcg, same files`, values: bare },
      },
      { name: 'Suspend to disk', unit: 'ms', values: save },
      { name: 'Resume from disk to an answering prompt', unit: 'ms', values: resume, target: '≤ 1500 ms' },
    ]
  } finally {
    rpc.dispose()
    await host.quiesce('powerOff')
    await host.close()
    await rm(library, { recursive: true, force: true })
  }
}

/** Types a sum at the prompt and waits for its result. */
async function answersAtPrompt(service: Client<typeof machines>, id: string, run: number): Promise<void> {
  const { stream, opening } = await service.console({ id, port: 0, from: null })
  let seen = ''
  let skip = opening.end - opening.start
  const decoder = new TextDecoder()
  await stream.write(new TextEncoder().encode(`echo $((${run}+7000))\n`))
  for await (const bytes of stream) {
    const fresh = bytes.subarray(Math.min(skip, bytes.length))
    skip -= bytes.length - fresh.length
    seen += decoder.decode(fresh, { stream: true })
    if (seen.includes(`\n${run + 7000}`)) break
  }
  stream.close()
}

async function bootBareQemu(files: { kernel: string; initrd: string; cmdline: string }, memoryMiB: number): Promise<number> {
  const from = performance.now()
  const child = spawn(
    QEMU,
    [
      ...['-nodefaults', '-no-user-config', '-display', 'none', '-accel', 'tcg', '-m', String(memoryMiB), '-vga', 'std'],
      ...['-kernel', files.kernel, '-initrd', files.initrd, '-append', files.cmdline, '-serial', 'stdio'],
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  )
  const timer = setTimeout(() => child.kill('SIGKILL'), BOOT_LIMIT_MS)
  try {
    let seen = ''
    for await (const chunk of child.stdout) {
      seen += String(chunk)
      if (seen.includes(BOOT_COMPLETE_MARK)) return performance.now() - from
    }
    throw new Error(`${QEMU} ended before its guest was up.`)
  } finally {
    clearTimeout(timer)
    if (child.exitCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  }
}
