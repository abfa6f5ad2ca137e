//! The parameter sets in force while NAL units are read in order (H.264, 7.4.1.2.1; H.265, 7.4.2.4.2). Their identifiers are
//! bounded by the parsers, and with them how many there can be.

/// A sequence parameter set.
pub(super) trait Sequence {
    /// Its identifier.
    fn id(&self) -> u32;
}

/// A picture parameter set.
pub(super) trait Picture {
    /// Its identifier.
    fn id(&self) -> u32;
    /// Identifier of the sequence parameter set that it refers to.
    fn sequence(&self) -> u32;
}

/// The sets, the latest of each identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ParameterSets<S, P> {
    sps: Vec<S>,
    pps: Vec<P>,
}

impl<S, P> Default for ParameterSets<S, P> {
    fn default() -> Self {
        Self { sps: Vec::new(), pps: Vec::new() }
    }
}

impl<S: Sequence, P: Picture> ParameterSets<S, P> {
    /// Puts a sequence parameter set in the place of the one with its identifier.
    pub fn set_sps(&mut self, sps: S) {
        match self.sps.iter_mut().find(|s| s.id() == sps.id()) {
            Some(old) => *old = sps,
            None => self.sps.push(sps),
        }
    }

    /// Puts a picture parameter set in the place of the one with its identifier.
    pub fn set_pps(&mut self, pps: P) {
        match self.pps.iter_mut().find(|p| p.id() == pps.id()) {
            Some(old) => *old = pps,
            None => self.pps.push(pps),
        }
    }

    /// The picture parameter set with this identifier, and its sequence parameter set.
    pub fn get(&self, pps_id: u32) -> Option<(&S, &P)> {
        let pps = self.pps.iter().find(|p| p.id() == pps_id)?;
        Some((self.sps.iter().find(|s| s.id() == pps.sequence())?, pps))
    }
}
