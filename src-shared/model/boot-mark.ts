/**
 * What Coppice Linux prints once on its first serial port when it is ready: an OSC sequence (ECMA-48 8.3.89) that terminals ignore.
 */
export const BOOT_COMPLETE_MARK = '\u001b]7770;coppice;boot-complete\u0007'
