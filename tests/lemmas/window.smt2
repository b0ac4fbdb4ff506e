; A window that is written in units and read again grants no more than it did, and less than one unit
; less, unless it was too large for the field.
; BROKEN: s/(bvlshr (bvsub edge ack) shift)/(bvlshr (bvadd (bvsub edge ack) #x00000001) shift)/
(declare-const ack Num) (declare-const edge Num) (declare-const shift Num)
(assert (and (bvule shift #x0000000e) (bvult (bvsub edge ack) #x80000000)))
(define-fun units () Num (bvlshr (bvsub edge ack) shift))
(define-fun field () Num (ite (bvult units #x0000ffff) units #x0000ffff))
(define-fun again () Num (bvadd ack (bvshl field shift)))
(assert (not (and (bvsge (bvsub edge again) #x00000000)
                  (=> (bvult units #x0000ffff)
                      (bvult (bvsub edge again) (bvshl #x00000001 shift))))))
