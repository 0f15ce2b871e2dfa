//! The sessions of a port, by key. A key is never used twice, so a late event cannot reach the wrong session.

use crate::peer::Peer;

/// Names a session within one `Mux`; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey {
    slot: u32,
    generation: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Sessions {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    // Boxed: a slot outlives its session, and most of a grown table may be empty.
    peer: Option<Box<Peer>>,
}

impl Sessions {
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn insert(&mut self, peer: Peer) -> SessionKey {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                peer: None,
            });
            self.slots.len() as u32 - 1
        });
        let Slot {
            generation,
            peer: place,
        } = &mut self.slots[slot as usize];
        *place = Some(Box::new(peer));
        SessionKey {
            slot,
            generation: *generation,
        }
    }

    #[inline]
    pub(crate) fn get(&self, key: SessionKey) -> Option<&Peer> {
        self.slots
            .get(key.slot as usize)
            .filter(|slot| slot.generation == key.generation)?
            .peer
            .as_deref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: SessionKey) -> Option<&mut Peer> {
        self.slots
            .get_mut(key.slot as usize)
            .filter(|slot| slot.generation == key.generation)?
            .peer
            .as_deref_mut()
    }

    pub(crate) fn remove(&mut self, key: SessionKey) -> Option<Box<Peer>> {
        let slot = self
            .slots
            .get_mut(key.slot as usize)
            .filter(|slot| slot.generation == key.generation)?;
        let peer = slot.peer.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.slot);
        Some(peer)
    }
}
