/** What a shell on this computer gets: the person's own environment, without what the host and its launchers put there. Pure. */

/** By whole name or beginning. npm's come from `npm start`, Electron's from its launcher. */
const OURS =
  /^(COPPICE_|ELECTRON_|npm_|VITEST)|^(INIT_CWD|NODE_ENV|NODE_OPTIONS|NODE_PATH|NODE_CHANNEL_FD|NODE_UNIQUE_ID|CHROME_DESKTOP|MALLOC_MMAP_THRESHOLD_)$/
/** Of the terminal in which the host itself was started. */
const OTHER_TERMINALS = /^(TMUX|TMUX_PANE|STY|WINDOW|WINDOWID|TERMCAP|COLUMNS|LINES|OLDPWD)$/

export function terminalEnvironment(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): Record<string, string> {
  const separator = platform === 'win32' ? ';' : ':'
  const cleaned: Record<string, string> = {}
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || OURS.test(name) || OTHER_TERMINALS.test(name)) continue
    // npm puts the project's programs in front of the path.
    cleaned[name] = name.toUpperCase() === 'PATH' ? value.split(separator).filter(isPersons).join(separator) : value
  }
  return { ...cleaned, TERM: 'xterm-256color', COLORTERM: 'truecolor' }
}

function isPersons(folder: string): boolean {
  return !/[/\\]node_modules[/\\]\.bin$|[/\\]node-gyp-bin$/.test(folder)
}

/** The person's shell and its arguments. @param loginShell as the user database has it */
export function shellOf(env: NodeJS.ProcessEnv, platform: NodeJS.Platform, loginShell: string | null): { file: string; args: string[] } {
  if (platform === 'win32') return { file: env['ComSpec'] ?? 'powershell.exe', args: [] }
  // macOS opens login shells in terminals: its path is set by /etc/zprofile only.
  return { file: env['SHELL'] || loginShell || '/bin/sh', args: platform === 'darwin' ? ['-l'] : [] }
}
