/**
 * The environment of QEMU: what a program needs to run, and nothing of ours. Variables that load code into it (LD_PRELOAD), that an AppImage or
 * a shell set for Coppice (LD_LIBRARY_PATH), or that carry secrets do not go along. Pure.
 */
/** The mark of a run of the tests goes along, by which they find what was left running. */
const TEST_RUN = 'COPPICE_TEST_RUN'
const KEPT: Record<'win32' | 'other', readonly string[]> = {
  other: ['PATH', 'HOME', 'TMPDIR', 'TZ', TEST_RUN],
  win32: ['PATH', 'SystemRoot', 'SystemDrive', 'TEMP', 'TMP', 'USERPROFILE', 'LOCALAPPDATA'],
}

export function cleanEnvironment(env: Readonly<Record<string, string | undefined>>, platform: NodeJS.Platform): Record<string, string> {
  const windows = platform === 'win32'
  // Windows does not tell case apart.
  const found = new Map(Object.entries(env).map(([name, value]) => [windows ? name.toLowerCase() : name, value]))
  const clean: Record<string, string> = {}
  for (const name of KEPT[windows ? 'win32' : 'other']) {
    const value = found.get(windows ? name.toLowerCase() : name)
    if (value !== undefined) clean[name] = value
  }
  // Its messages are read by programs too.
  if (!windows) clean['LC_ALL'] = 'C'
  return clean
}
