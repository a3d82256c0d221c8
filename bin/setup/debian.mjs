/** System packages. On Debian and its kin root gets them installed; everybody else is told the one command, or what to look for. */
import { readFileSync } from 'node:fs'
import { findProgram, run, say, tail } from './say.mjs'

/** True for Debian, Ubuntu and others that call themselves like them. */
export function isDebian(osRelease, aptGet) {
  return aptGet !== null && /^(ID|ID_LIKE)=.*\b(debian|ubuntu)\b/m.test(osRelease)
}

function readOsRelease() {
  try {
    return readFileSync('/etc/os-release', 'utf8')
  } catch {
    return ''
  }
}

/**
 * What to do about missing packages.
 * @param {{ debian: boolean, root: boolean }} system
 * @param {string[]} packages Debian's names
 * @param {string} purpose "for the terminal tab"
 * @param {string[]} before what was missing before: the last sentence's command installs everything
 * @returns {{ install: string[] } | { sentence: string }}
 */
export function packagePlan(system, packages, purpose, before = []) {
  const names = packages.join(' ')
  if (!system.debian)
    return { sentence: `Missing ${purpose}: what Debian calls ${names}. Install the same with your system's package manager.` }
  if (!system.root) {
    const all = [...new Set([...before, ...packages])].join(' ')
    const what = before.length > 0 ? ' all that is missing' : ''
    return { sentence: `Missing ${purpose}: ${names}. To install${what}: sudo apt-get update && sudo apt-get install ${all}` }
  }
  return { install: packages }
}

/** What this run has found missing so far. */
const missing = []

/**
 * Installs packages or says how.
 * @returns {Promise<boolean>} whether they are there now
 */
export async function ensurePackages(packages, purpose) {
  const system = { debian: isDebian(readOsRelease(), findProgram('apt-get')), root: process.getuid?.() === 0 }
  const plan = packagePlan(system, packages, purpose, missing)
  missing.push(...packages)
  if ('sentence' in plan) {
    say(plan.sentence)
    return false
  }
  say(`Installing ${plan.install.join(' ')} ${purpose}.`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const install = () => run('apt-get', ['install', '-y', '--no-install-recommends', ...plan.install], { env })
  // The package lists may be absent (fresh container) or old: once more after an update.
  let result = await install()
  if (!result.ok) {
    await run('apt-get', ['update'], { env })
    result = await install()
  }
  if (!result.ok) say(`apt-get could not install ${plan.install.join(' ')}:\n${tail(result.output)}`)
  return result.ok
}
