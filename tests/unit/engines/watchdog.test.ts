import { describe, expect, test } from 'vitest'
import { judge, type Signs } from '../../../src-main/engines/watchdog.ts'

/** Recorded from real guests on the embedded engine (SeaBIOS 1.16.2, Debian's kernel 6.1, GRUB 2.06). */
const quiet: Signs = {
  elapsedMs: 5050,
  haltedMs: 0,
  haltedForGood: false,
  progressBytes: 0,
  screenChanged: false,
  screen: 'SeaBIOS (version 1.16.2-debian-1.16.2-1)',
  samples: 450,
  userSamples: 0,
  interruptSamples: 0,
  pagedSamples: 0,
  codePages: 0,
  resets: 0,
}
const recorded = {
  kernelStarts: { ...quiet, screenChanged: true, samples: 411, interruptSamples: 38, pagedSamples: 226, codePages: 72 },
  kernelBoots: { ...quiet, progressBytes: 56, samples: 296, interruptSamples: 127, pagedSamples: 296, codePages: 18 },
  shellLoop: { ...quiet, samples: 451, userSamples: 387, interruptSamples: 387, pagedSamples: 451, codePages: 14 },
  sleepLoop: { ...quiet, haltedMs: 4881, samples: 8, pagedSamples: 8, codePages: 2 },
  copyInKernel: { ...quiet, samples: 474, userSamples: 1, interruptSamples: 388, pagedSamples: 474, codePages: 7 },
  grubCountsDown: { ...quiet, screenChanged: true, samples: 481, codePages: 3 },
  panic: { ...quiet, samples: 467, interruptSamples: 467, pagedSamples: 467, codePages: 1 },
  randomBios: { ...quiet, screen: '', samples: 346, codePages: 155 },
  truncatedIso: { ...quiet, screen: 'Booting from DVD/CD...', samples: 428, codePages: 7 },
  noBootDevice: { ...quiet, haltedMs: 5000, samples: 0, screen: 'Booting from Hard Disk...\nNo bootable device. Retrying in 60 seconds.' },
} satisfies Record<string, Signs>

describe('a guest that works', () => {
  test.each(['kernelStarts', 'kernelBoots', 'shellLoop', 'copyInKernel', 'grubCountsDown'] as const)('%s', (name) => {
    expect(judge(recorded[name], recorded[name]).health).toBe('working')
  })

  test('a kernel that unpacks itself is quiet for one window', () => {
    expect(judge({ ...recorded.randomBios, codePages: 3 }, recorded.grubCountsDown).health).toBe('working')
    expect(judge({ ...recorded.randomBios, codePages: 3 }, null).health).toBe('working')
  })
})

test('a guest that waits is idle', () => {
  expect(judge(recorded.sleepLoop, null).health).toBe('idle')
})

describe('a guest that spins', () => {
  test('a panicked kernel, in the first window', () => {
    expect(judge(recorded.panic, recorded.kernelBoots).health).toBe('spinning')
  })

  test.each(['randomBios', 'truncatedIso'] as const)('%s, in the second quiet window', (name) => {
    expect(judge(recorded[name], null).health).toBe('working')
    expect(judge(recorded[name], recorded[name]).health).toBe('spinning')
  })

  test('firmware without anything to boot, though it halts', () => {
    const verdict = judge(recorded.noBootDevice, null)
    expect(verdict.health).toBe('spinning')
    expect(verdict.detail).toContain('found nothing to start from')
  })

  test('a guest that restarts again and again', () => {
    const verdict = judge({ ...recorded.kernelStarts, resets: 40 }, null)
    expect(verdict.health).toBe('spinning')
    expect(verdict.detail).toContain('40 times')
  })
})

test('a running system is not taken for dead by old text on its screen', () => {
  expect(judge({ ...recorded.shellLoop, screen: 'No bootable device' }, null).health).toBe('working')
})

test('halted with interrupts off is said, as nothing will wake it', () => {
  const verdict = judge({ ...recorded.sleepLoop, haltedForGood: true }, null)
  expect(verdict.health).toBe('idle')
  expect(verdict.detail).toContain('will not wake')
})
