/**
 * Power-on to prompt and resume to prompt through the host, as the window does it, beside a bare QEMU under TCG that boots the same kernel,
 * initramfs and command line in the same run.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import { BOOT_COMPLETE_MARK } from '../../../src-shared/model/boot-mark.ts'
import type { Figure } from '../figure.ts'
import { answersAtPrompt, benchHost } from '../support/bench-host.ts'

const RUNS = 5
const QEMU = 'qemu-system-i386'
const BOOT_LIMIT_MS = 120_000

export async function bootFigures(): Promise<Figure[]> {
  const { machines: service, id, finish, close } = await benchHost({ engine: 'embedded' })
  try {
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
    await close()
  }
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
