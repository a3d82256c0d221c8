/** How often the probe's guest counts in memory: nothing for a processor, 50 ms for an emulator, an age for what traps every access. */
export const COUNT = 10_000_000
