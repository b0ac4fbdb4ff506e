; note_far() comes in time: as long as it has not been so far, a step of less than a quarter of all
; numbers leaves what is acknowledged comparable with the cut.
; BROKEN: s/(bvult step #x40000000)/(bvult step #x80000000)/
(declare-const cut Num) (declare-const acked Num) (declare-const step Num)
(assert (not (after cut acked)))
(assert (bvult (bvsub acked cut) #x40000000))
(assert (bvult step #x40000000))
(assert (not (not (after cut (bvadd acked step)))))
