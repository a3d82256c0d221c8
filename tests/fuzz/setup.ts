/** Property tests take their seed and rounds from where the mutations do. */
import fc from 'fast-check'
import { fuzzRuns, fuzzSeed } from '../support/hostile-image.ts'

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: fuzzSeed(0), numRuns: fuzzRuns(100) })
