/**
 * Tells a guest that works from one that only burns processor time. Pure: what was seen during one window goes in, a verdict with a sentence
 * comes out.
 *
 * What differs (measured, see tests/unit/engines/watchdog.test.ts): an operating system that lives is seen in user mode, does input or
 * output, or runs through much of its code even while it only computes. A guest that died (a panic's delay loop, firmware that found
 * nothing to boot, code that ran into garbage) stays in a few pages at the highest privilege, or restarts again and again, and nothing
 * leaves it.
 */
import type { MachineHealth } from '../../src-shared/model/machine-state.ts'

/** How long is looked at before a verdict, ms. A spinning guest is named after two windows at most. */
export const WINDOW_MS = 5000

export interface Signs {
  elapsedMs: number
  haltedMs: number
  /** Halted with interrupts off: nothing but a reset wakes it. */
  haltedForGood: boolean
  /** Bytes that went through serial ports, disks and network. */
  progressBytes: number
  screenChanged: boolean
  /** The text screen, lines joined by line feeds. */
  screen: string
  /** Looks at the processor while it executed, and in how many it was in user mode, took interrupts, had paging on. */
  samples: number
  userSamples: number
  interruptSamples: number
  pagedSamples: number
  /** Different 4 KiB pages of code in those looks. */
  codePages: number
  resets: number
}

export interface Verdict {
  health: Exclude<MachineHealth, 'stuck'>
  detail: string
}

/** Halted for more than this share of the time: idle. */
const IDLE_SHARE = 0.7
/** Executing in fewer pages than this for a whole window, with nothing else happening: a loop. */
const FEW_PAGES = 24
/** Restarts in one window from which on it is no reboot but a loop. */
const MANY_RESETS = 3

const DEAD_ENDS: readonly { text: RegExp; detail: string }[] = [
  {
    text: /No bootable device|Boot failed: not a bootable disk|Non-system disk|No boot device/i,
    detail: 'The firmware found nothing to start from. Check the machine’s drives and their boot order.',
  },
  { text: /Kernel panic/i, detail: 'The guest’s kernel panicked and stopped.' },
]

export function judge(signs: Signs): Verdict {
  const deadEnd = DEAD_ENDS.find((end) => end.text.test(signs.screen))
  const quiet = signs.progressBytes === 0 && !signs.screenChanged
  if (deadEnd && quiet && signs.userSamples === 0) return { health: 'spinning', detail: deadEnd.detail }
  if (signs.haltedForGood)
    return { health: 'idle', detail: 'The guest halted with interrupts off: it will not wake by itself. Reset it or switch it off.' }
  if (signs.resets >= MANY_RESETS)
    return {
      health: 'spinning',
      detail: `The guest restarted ${signs.resets} times in ${seconds(signs)} seconds. Its firmware or system is damaged.`,
    }
  if (signs.haltedMs >= IDLE_SHARE * signs.elapsedMs) return { health: 'idle', detail: 'The guest waits for something to do.' }
  if (signs.progressBytes > 0 || signs.screenChanged) return { health: 'working', detail: 'The guest works: it does input and output.' }
  if (signs.userSamples > 0) return { health: 'working', detail: 'The guest works: it runs programs.' }
  if (signs.codePages >= FEW_PAGES) return { health: 'working', detail: 'The guest works: its system computes.' }
  return {
    health: 'spinning',
    detail: `The guest has run in circles for ${seconds(signs)} seconds, with no output, no disk access and no program running. Its system or firmware has probably failed: reset it, or check what it starts from.`,
  }
}

function seconds(signs: Signs): number {
  return Math.round(signs.elapsedMs / 1000)
}
