/**
 * Tells a guest that works from one that only burns processor time. Pure: what was seen during one window goes in, a verdict with a sentence
 * comes out.
 *
 * What differs (measured, see tests/unit/engines/watchdog.test.ts): an operating system that lives is seen in user mode, does input or
 * output, or runs through much of its code even while it only computes. A panicked kernel loops in one or two pages. Before an operating system
 * has turned paging on (firmware, boot loaders, kernels that unpack themselves) neither holds, but those phases are short: code that ran
 * into garbage or found nothing to boot stays in them.
 */
import type { MachineHealth } from '../../src-shared/model/machine-state.ts'

/** How long is looked at before a verdict, ms of guest time (executing or halted): on a busy computer it takes longer by the clock. */
export const WINDOW_MS = 5000
/** Windows after which a guest that spins is called so at the latest. */
export const WINDOWS_TO_SPINNING = 3

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
/** An operating system that executes in this few pages for a whole window, never in user mode and with nothing else happening: a loop. */
const FEW_PAGES = 4
/** Restarts in one window from which on it is no reboot but a loop. */
const MANY_RESETS = 3

const DEAD_ENDS: readonly { text: RegExp; detail: string }[] = [
  {
    text: /No bootable device|Boot failed: not a bootable disk|Non-system disk|No boot device/i,
    detail: 'The firmware found nothing to start from. Check the machine’s drives and their boot order.',
  },
  { text: /Kernel panic/i, detail: 'The guest’s kernel panicked and stopped.' },
]

/** @param before the window before, null in the first */
export function judge(signs: Signs, before: Signs | null): Verdict {
  const deadEnd = DEAD_ENDS.find((end) => end.text.test(signs.screen))
  if (deadEnd && isQuiet(signs)) return { health: 'spinning', detail: deadEnd.detail }
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
  const stands = signs.pagedSamples > 0 ? signs.codePages <= FEW_PAGES : before !== null && isQuiet(before) && before.pagedSamples === 0
  if (!stands) return { health: 'working', detail: 'The guest works: its system computes.' }
  return {
    health: 'spinning',
    detail:
      'The guest runs in circles at full speed: no output, no disk access, no program. Its system or firmware has probably failed, or it waits for a key at a boot menu. Reset it, or check what it starts from.',
  }
}

/** Nothing left the guest and no program ran in it. Firmware, boot loaders and kernels that unpack themselves are quiet too, but not for two windows. */
function isQuiet(signs: Signs): boolean {
  return signs.progressBytes === 0 && !signs.screenChanged && signs.userSamples === 0
}

function seconds(signs: Signs): number {
  return Math.round(signs.elapsedMs / 1000)
}
